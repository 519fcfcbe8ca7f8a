/* SPDX-License-Identifier: MIT */
/* dlopen -- loads the library at run time, without linking it, and runs a request, as a
 * foreign-function interface does.
 *
 *     dlopen_main LIBRARY MODEL.gguf */
#include <dlfcn.h>
#include <quire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A function of the library by name.  ISO C does not define this cast; POSIX does. */
static void load(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    if (!symbol) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    memcpy(function, &symbol, sizeof symbol);
}

#define LOAD(name)                                                                                 \
    __typeof__(&(name)) call_##name;                                                               \
    load(library, #name, &call_##name)

int main(int argc, char **argv)
{
    struct quire_error error;

    if (argc != 3) return 2;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    LOAD(quire_model_settings_defaults_sized);
    LOAD(quire_engine_settings_defaults_sized);
    LOAD(quire_request_defaults_sized);
    LOAD(quire_model_open);
    LOAD(quire_engine_start);
    LOAD(quire_submit);
    LOAD(quire_wait);
    LOAD(quire_engine_free);
    LOAD(quire_model_close);

    struct quire_model_settings model_settings;
    struct quire_engine_settings engine_settings;
    struct quire_request request;
    struct quire_event event;
    quire_model *model;
    quire_engine *engine;
    quire_id id;
    const int32_t prompt[] = {1};
    int tokens = 0;

    call_quire_model_settings_defaults_sized(&model_settings, sizeof model_settings);
    model_settings.path = argv[2];
    if (call_quire_model_open(&model_settings, &model, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    call_quire_engine_settings_defaults_sized(&engine_settings, sizeof engine_settings);
    if (call_quire_engine_start(&engine_settings, model, &engine, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    call_quire_request_defaults_sized(&request, sizeof request);
    request.prompt = prompt;
    request.prompt_n = 1;
    request.flags = QUIRE_REQUEST_IGNORE_EOS;
    if (call_quire_submit(engine, &request, &id, &error)) return 1;
    do {
        if (call_quire_wait(engine, &event, 60000) != 1) return 1;
        tokens += event.kind == QUIRE_EVENT_TOKEN;
    } while (event.kind != QUIRE_EVENT_DONE);
    call_quire_engine_free(engine);
    call_quire_model_close(model);
    dlclose(library);
    printf("%d tokens\n", tokens);
    return tokens == 16 ? 0 : 1;
}
