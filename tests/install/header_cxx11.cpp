// SPDX-License-Identifier: MIT
// header -- quire.h as a strict C++11 program sees it.
#include <quire.h>

#include <cstring>

int main()
{
    quire_engine_settings settings;
    quire_event event = quire_event();

    quire_engine_settings_defaults(&settings);
    return settings.page_tokens == 32 && quire_next(nullptr, &event) == QUIRE_INVALID &&
                   std::strcmp(quire_status_text(QUIRE_OK), "success") == 0
               ? 0
               : 1;
}
