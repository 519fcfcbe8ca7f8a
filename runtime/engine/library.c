/* SPDX-License-Identifier: MIT */
/* library -- the library's version and the texts of its statuses. */
#include "runtime/quire.h"

#define TEXT_OF(number)     #number
#define VERSION_OF(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *quire_status_text(int status)
{
    switch (status) {
#define CASE(name, value, text)                                                                    \
    case name: return text;
        QUIRE_STATUS_MAP(CASE)
#undef CASE
    default: return "unknown status";
    }
}

const char *quire_version(void)
{
    return VERSION_OF(QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR, QUIRE_VERSION_PATCH);
}
