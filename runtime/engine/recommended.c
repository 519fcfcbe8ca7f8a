/* SPDX-License-Identifier: MIT */
/* recommended -- the sampler settings that a model's file recommends, by llama.cpp's keys
 * general.sampling.*. */
#include <stdio.h>

#include "runtime/base/sampler_settings.h"
#include "runtime/engine/model_handle.h"

uint32_t quire_model_sampling(const quire_model *model, struct quire_request *request)
{
    uint32_t set_n = 0;

    for (uint32_t i = 0; model && request && i < QR_SAMPLER_SETTINGS_N; i++) {
        const struct qr_sampler_setting *setting = &qr_sampler_settings[i];
        char key[64];
        double value;

        /* A caller with an older header has a shorter struct. */
        if (!setting->key || setting->offset + sizeof(float) > request->size) continue;
        (void)snprintf(key, sizeof key, "general.sampling.%s", setting->key);
        if (!qr_gguf_f64(&model->file, key, &value)) continue;
        if (!qr_sampler_setting_accepts(setting, value)) continue;
        qr_sampler_setting_set(setting, request, value);
        set_n++;
    }
    return set_n;
}
