/* SPDX-License-Identifier: MIT */
#include "runtime/engine/settings.h"

#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/sampler_settings.h"

/* Copies the defaults into a caller's struct of `size` bytes, and sets its size. */
static void write_defaults(void *to, size_t size, const void *defaults, size_t defaults_bytes)
{
    if (!to || size < sizeof size) return;
    memset(to, 0, size);
    memcpy(to, defaults, size < defaults_bytes ? size : defaults_bytes);
    memcpy(to, &size, sizeof size);
}

void quire_model_settings_defaults_sized(struct quire_model_settings *settings, size_t size)
{
    const struct quire_model_settings defaults = {.size = sizeof defaults};

    write_defaults(settings, size, &defaults, sizeof defaults);
}

void quire_engine_settings_defaults_sized(struct quire_engine_settings *settings, size_t size)
{
    const struct quire_engine_settings defaults = {
        .size = sizeof defaults,
        .page_tokens = 32,
        .kv_type = QUIRE_KV_F16,
        .running_max = 256,
        .waiting_max = 1024,
    };

    write_defaults(settings, size, &defaults, sizeof defaults);
}

void quire_request_defaults_sized(struct quire_request *request, size_t size)
{
    const struct quire_request defaults = {.size = sizeof defaults,
                                           .max_tokens = 16,
                                           .logprobs = -1,
#define DEFAULT(type, name, normal, ...) .name = normal,
                                           QR_SAMPLER_SETTINGS(DEFAULT)
#undef DEFAULT
    };

    write_defaults(request, size, &defaults, sizeof defaults);
}

void quire_conversation_defaults_sized(struct quire_conversation *conversation, size_t size)
{
    const struct quire_conversation defaults = {
        .size = sizeof defaults,
        .flags = QUIRE_RENDER_GENERATION_PROMPT,
    };

    write_defaults(conversation, size, &defaults, sizeof defaults);
}

void quire_grammar_settings_defaults_sized(struct quire_grammar_settings *settings, size_t size)
{
    const struct quire_grammar_settings defaults = {.size = sizeof defaults};

    write_defaults(settings, size, &defaults, sizeof defaults);
}

int qr_settings_read(void *to, size_t to_bytes, const void *from, struct quire_error *error)
{
    const unsigned char *bytes = from;
    size_t size;

    if (!from) return qr_error(error, QUIRE_INVALID, "the settings are NULL");
    memcpy(&size, from, sizeof size);
    if (size <= sizeof size || size > 65536)
        return qr_error_field(error, QUIRE_INVALID, "size",
                              "a settings struct says it has %zu bytes: call its _defaults "
                              "function first",
                              size);
    for (size_t i = to_bytes; i < size; i++)
        if (bytes[i])
            return qr_error_field(error, QUIRE_UNSUPPORTED, "size",
                                  "a field at byte %zu is set that quire %s does not know", i,
                                  quire_version());
    memcpy(to, from, size < to_bytes ? size : to_bytes);
    memcpy(to, &to_bytes, sizeof to_bytes);
    return QUIRE_OK;
}

void qr_settings_write(void *to, const void *from, size_t from_bytes)
{
    size_t size;

    if (!to) return;
    memcpy(&size, to, sizeof size);
    if (size <= sizeof size) return;
    memcpy((char *)to + sizeof size, (const char *)from + sizeof size,
           (size < from_bytes ? size : from_bytes) - sizeof size);
}
