/* SPDX-License-Identifier: MIT */
#include "runtime/model/architecture.h"

#include <stdio.h>
#include <string.h>

static const struct qr_architecture *const architectures[] = {&qr_llama, &qr_gpt2, &qr_qwen2};
#define ARCHITECTURES_N (sizeof architectures / sizeof architectures[0])

const struct qr_architecture *qr_architecture_find(struct quire_text name)
{
    for (size_t i = 0; i < ARCHITECTURES_N; i++)
        if (strlen(architectures[i]->name) == name.n &&
            memcmp(architectures[i]->name, name.data, name.n) == 0)
            return architectures[i];
    return NULL;
}

void qr_architecture_names(char *text, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < ARCHITECTURES_N && at < size; i++) {
        const char *between = i == 0 ? "" : i + 1 == ARCHITECTURES_N ? " or " : ", ";
        at += (size_t)snprintf(text + at, size - at, "%s'%s'", between, architectures[i]->name);
    }
}
