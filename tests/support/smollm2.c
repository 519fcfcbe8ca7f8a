/* SPDX-License-Identifier: MIT */
#include "support/smollm2.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *smollm2(void)
{
    static const char name[] = "quire/SmolLM2-135M-Instruct.Q4_1.gguf";
    static char path[4096];
    const char *model = getenv("QUIRE_MODEL"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (model)
        (void)snprintf(path, sizeof path, "%s", model);
    else if (cache)
        (void)snprintf(path, sizeof path, "%s/%s", cache, name);
    else
        (void)snprintf(path, sizeof path, "%s/.cache/%s", home ? home : "", name);
    if (access(path, R_OK) == 0) return path;
    (void)printf("skipped: there is no model at %s (./tools/quickstart fetches it)\n", path);
    return NULL;
}
