/* SPDX-License-Identifier: MIT */
#include "runtime/base/sampler_settings.h"

#include <stdio.h>
#include <string.h>

#define REAL    false
#define INTEGER true
#define ROW(type, name, normal, bound, least, most, key, argument, meaning)                        \
    [QR_SAMPLER_##name] = {#name,                                                                  \
                           key,                                                                    \
                           argument,                                                               \
                           meaning,                                                                \
                           type,                                                                   \
                           QR_SAMPLER_##bound,                                                     \
                           (double)(normal),                                                       \
                           (double)(least),                                                        \
                           (double)(most),                                                         \
                           offsetof(struct quire_request, name)},
const struct qr_sampler_setting qr_sampler_settings[QR_SAMPLER_SETTINGS_N] = {
    QR_SAMPLER_SETTINGS(ROW)};

/* The table's types are those of the fields. */
#define FIELD_IS_REAL(type, name, ...)                                                             \
    _Static_assert(type == _Generic(((struct quire_request *)0)->name, float                       \
                                    : false, int32_t                                               \
                                    : true),                                                       \
                   #name);
QR_SAMPLER_SETTINGS(FIELD_IS_REAL)

double qr_sampler_setting_get(const struct qr_sampler_setting *setting,
                              const struct quire_request *request)
{
    const char *field = (const char *)request + setting->offset;
    int32_t integer;
    float real;

    if (setting->integer) {
        memcpy(&integer, field, sizeof integer);
        return integer;
    }
    memcpy(&real, field, sizeof real);
    return (double)real;
}

void qr_sampler_setting_set(const struct qr_sampler_setting *setting, struct quire_request *request,
                            double value)
{
    char *field = (char *)request + setting->offset;
    float real = (float)value;

    if (setting->integer) {
        int32_t integer = (int32_t)value;
        memcpy(field, &integer, sizeof integer);
        return;
    }
    if (value > 0 && real == 0.0f) real = FLT_MIN;
    memcpy(field, &real, sizeof real);
}

bool qr_sampler_setting_accepts(const struct qr_sampler_setting *setting, double value)
{
    if (setting->bound == QR_SAMPLER_FROM) return value >= setting->least && value <= setting->most;
    return value > setting->least && value <= setting->most;
}

void qr_sampler_setting_range(const struct qr_sampler_setting *setting,
                              char text[QR_SAMPLER_RANGE_MAX])
{
    const char *from = setting->bound == QR_SAMPLER_FROM ? "at least" : "more than";
    double all = setting->integer ? (double)INT32_MAX : (double)FLT_MAX;

    if (setting->most >= all)
        (void)snprintf(text, QR_SAMPLER_RANGE_MAX, "%s %g", from, setting->least);
    else if (setting->bound == QR_SAMPLER_FROM)
        (void)snprintf(text, QR_SAMPLER_RANGE_MAX, "%g to %g", setting->least, setting->most);
    else
        (void)snprintf(text, QR_SAMPLER_RANGE_MAX, "%s %g and at most %g", from, setting->least,
                       setting->most);
}
