/* SPDX-License-Identifier: MIT */
/* header -- compiles quire.h as strict C99. */
#include <quire.h>

int main(void)
{
    struct quire_request request;
    struct quire_model_settings model;
    struct quire_error error;

    quire_request_defaults(&request);
    quire_model_settings_defaults(&model);
    quire_id id = 0;
    quire_model *opened = 0;
    return request.size == sizeof request && quire_submit(0, &request, &id, &error) < 0 &&
                   quire_model_open(&model, &opened, &error) == QUIRE_INVALID
               ? 0
               : 1;
}
