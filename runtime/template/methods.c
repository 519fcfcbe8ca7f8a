/* SPDX-License-Identifier: MIT */
/* methods -- methods of Python's str, dict, list and tuple that do not modify their object. */
#include <string.h>

#include "runtime/template/chars.h"
#include "runtime/template/strings.h"

#define METHOD(name)                                                                               \
    static struct qr_value name(struct qr_render *r, struct qr_value self,                         \
                                const struct qr_args *args)

/* ---- str: ends and case ---------------------------------------------------------------------- */

METHOD(str_strip)
{
    return qr_string_strip(r, self, args->values[0], QR_FRONT | QR_BACK);
}

METHOD(str_lstrip)
{
    return qr_string_strip(r, self, args->values[0], QR_FRONT);
}

METHOD(str_rstrip)
{
    return qr_string_strip(r, self, args->values[0], QR_BACK);
}

METHOD(str_upper)
{
    (void)args;
    return qr_string_upper(r, self);
}

METHOD(str_lower)
{
    (void)args;
    return qr_string_lower(r, self);
}

METHOD(str_capitalize)
{
    (void)args;
    return qr_string_capitalize(r, self);
}

static bool is_no_letter(uint32_t c)
{
    return !qr_char_is_cased(c);
}

METHOD(str_title)
{
    (void)args;
    return qr_string_title(r, self, is_no_letter);
}

static bool has_end(struct qr_value text, struct qr_value end, bool front)
{
    if (end.n > text.n) return false;
    return memcmp(text.as.text + (front ? 0 : text.n - end.n), end.as.text, end.n) == 0;
}

/* The argument is a string, or a tuple of strings of which one must match. */
static struct qr_value ends(struct qr_render *r, struct qr_value self, const struct qr_args *args,
                            bool front)
{
    struct qr_value given = args->values[0];

    if (given.kind == QR_V_LIST && given.as.list->flavor == QR_TUPLE) {
        for (size_t i = 0; i < given.as.list->n; i++) {
            struct qr_args one = {.values = &given.as.list->items[i], .n = 1};
            if (has_end(self, qr_args_text(r, &one, 0, "a prefix or suffix"), front))
                return qr_value_bool(true);
        }
        return qr_value_bool(false);
    }
    return qr_value_bool(has_end(self, qr_args_text(r, args, 0, "a prefix or suffix"), front));
}

METHOD(str_startswith)
{
    return ends(r, self, args, true);
}

METHOD(str_endswith)
{
    return ends(r, self, args, false);
}

METHOD(str_removeprefix)
{
    struct qr_value prefix = qr_args_text(r, args, 0, "a prefix");

    if (!has_end(self, prefix, true)) return self;
    return qr_value_text(self.as.text + prefix.n, self.n - prefix.n);
}

METHOD(str_removesuffix)
{
    struct qr_value suffix = qr_args_text(r, args, 0, "a suffix");

    return has_end(self, suffix, false) ? qr_value_text(self.as.text, self.n - suffix.n) : self;
}

/* ---- str: classes ---------------------------------------------------------------------------- */

static struct qr_value all_are(struct qr_render *r, struct qr_value self, bool (*is)(uint32_t))
{
    qr_run_charge(&r->run, self.n);
    for (size_t i = 0, used; i < self.n; i += used)
        if (!is(qr_char_get(self.as.text + i, self.n - i, &used))) return qr_value_bool(false);
    return qr_value_bool(self.n > 0);
}

METHOD(str_isdigit)
{
    (void)args;
    return all_are(r, self, qr_char_is_digit);
}

METHOD(str_isalpha)
{
    (void)args;
    return all_are(r, self, qr_char_is_alpha);
}

METHOD(str_isalnum)
{
    (void)args;
    return all_are(r, self, qr_char_is_alnum);
}

METHOD(str_isspace)
{
    (void)args;
    return all_are(r, self, qr_char_is_space);
}

METHOD(str_isupper)
{
    (void)args;
    return qr_value_bool(qr_string_is_cased(r, self, qr_char_upper));
}

METHOD(str_islower)
{
    (void)args;
    return qr_value_bool(qr_string_is_cased(r, self, qr_char_lower));
}

/* ---- str: search ----------------------------------------------------------------------------- */

static const char *find_last(const char *text, size_t n, const char *what, size_t what_n)
{
    for (size_t at = n >= what_n ? n - what_n + 1 : 0; at-- > 0;)
        if (memcmp(text + at, what, what_n) == 0) return text + at;
    return NULL;
}

/* The index in characters of the first or last occurrence between args 1 and 2; -1 if none. */
static int64_t find_text(struct qr_render *r, struct qr_value self, const struct qr_args *args,
                         bool last)
{
    struct qr_value what = qr_args_text(r, args, 0, "the substring");
    int64_t n = qr_value_length(&r->run, self);
    const struct qr_value bounds[3] = {
        args->values[1].kind == QR_V_UNSET ? qr_value_none : args->values[1],
        args->values[2].kind == QR_V_UNSET ? qr_value_none : args->values[2], qr_value_none};
    struct qr_value part = qr_slice_take(r, self, bounds);
    int64_t from = qr_args_int(r, args, 1, "the start", 0);

    if (from < 0) from = from < -n ? 0 : from + n;
    if (from > n) return -1;
    qr_run_charge(&r->run, last ? part.n * (what.n + 1) : part.n);
    const char *found = last     ? find_last(part.as.text, part.n, what.as.text, what.n)
                        : what.n ? memmem(part.as.text, part.n, what.as.text, what.n)
                                 : part.as.text;
    if (!found) return -1;
    return from + (int64_t)qr_chars_count(part.as.text, (size_t)(found - part.as.text));
}

METHOD(str_find)
{
    return qr_value_int(find_text(r, self, args, false));
}

METHOD(str_rfind)
{
    return qr_value_int(find_text(r, self, args, true));
}

METHOD(str_index)
{
    int64_t at = find_text(r, self, args, false);

    if (at < 0) qr_run_fail(&r->run, "substring not found");
    return qr_value_int(at);
}

METHOD(str_count)
{
    struct qr_value what = qr_args_text(r, args, 0, "the substring");
    const char *at = self.as.text, *end = at + self.n;
    int64_t n = 0;

    if (!what.n) return qr_value_int(qr_value_length(&r->run, self) + 1);
    qr_run_charge(&r->run, self.n);
    while ((at = memmem(at, (size_t)(end - at), what.as.text, what.n)) != NULL) {
        n++;
        at += what.n;
    }
    return qr_value_int(n);
}

METHOD(str_replace)
{
    return qr_string_replace(r, self, qr_args_text(r, args, 0, "the old string"),
                             qr_args_text(r, args, 1, "the new string"),
                             qr_args_int(r, args, 2, "the count", -1));
}

/* ---- str: splitting -------------------------------------------------------------------------- */

/* A growing list. */
struct split_texts {
    struct qr_value *items;
    size_t n, capacity;
};

static void add_part(struct qr_render *r, struct split_texts *parts, const char *text, size_t n)
{
    if (parts->n == parts->capacity) {
        size_t capacity = parts->capacity ? parts->capacity * 2 : 8;
        struct qr_value *items = qr_run_alloc_array(&r->run, capacity, sizeof *items);
        if (parts->n) memcpy(items, parts->items, parts->n * sizeof *items);
        parts->items = items;
        parts->capacity = capacity;
    }
    qr_run_charge(&r->run, n);
    parts->items[parts->n++] = qr_value_text(text, n);
}

static struct qr_value parts_list(struct qr_render *r, const struct split_texts *parts,
                                  bool backwards)
{
    struct qr_value list = qr_list_make(&r->run, QR_LIST, parts->n);

    for (size_t i = 0; i < parts->n; i++)
        list.as.list->items[i] = parts->items[backwards ? parts->n - 1 - i : i];
    return list;
}

static size_t word_n(const char *text, size_t n)
{
    size_t at = 0, used;

    while (at < n && !qr_char_is_space(qr_char_get(text + at, n - at, &used)))
        at += used;
    return at;
}

static struct qr_value split_words(struct qr_render *r, struct qr_value self, int64_t most)
{
    struct split_texts parts = {0};
    const char *at = self.as.text, *end = at + self.n;

    for (;;) {
        at += qr_chars_space_front(at, (size_t)(end - at));
        if (at == end) break;
        if (most >= 0 && (int64_t)parts.n == most) {
            add_part(r, &parts, at, (size_t)(end - at));
            break;
        }
        size_t n = word_n(at, (size_t)(end - at));
        add_part(r, &parts, at, n);
        at += n;
    }
    return parts_list(r, &parts, false);
}

METHOD(str_split)
{
    int64_t most = qr_args_int(r, args, 1, "maxsplit", -1);
    struct split_texts parts = {0};
    const char *at = self.as.text, *end = at + self.n, *found;

    if (!qr_args_given(args, 0)) return split_words(r, self, most);
    struct qr_value by = qr_args_text(r, args, 0, "a separator");
    if (!by.n) qr_run_fail(&r->run, "empty separator");
    while ((most < 0 || (int64_t)parts.n < most) &&
           (found = memmem(at, (size_t)(end - at), by.as.text, by.n)) != NULL) {
        add_part(r, &parts, at, (size_t)(found - at));
        at = found + by.n;
    }
    add_part(r, &parts, at, (size_t)(end - at));
    return parts_list(r, &parts, false);
}

METHOD(str_rsplit)
{
    int64_t most = qr_args_int(r, args, 1, "maxsplit", -1);
    struct split_texts parts = {0};
    size_t end = self.n;
    const char *found;

    if (!qr_args_given(args, 0)) {
        if (most < 0) return split_words(r, self, most);
        qr_run_fail(&r->run, "rsplit by white space with maxsplit is not supported");
    }
    struct qr_value by = qr_args_text(r, args, 0, "a separator");
    if (!by.n) qr_run_fail(&r->run, "empty separator");
    qr_run_charge(&r->run, self.n);
    while ((most < 0 || (int64_t)parts.n < most) &&
           (found = find_last(self.as.text, end, by.as.text, by.n)) != NULL) {
        size_t from = (size_t)(found - self.as.text) + by.n;
        add_part(r, &parts, self.as.text + from, end - from);
        end = (size_t)(found - self.as.text);
    }
    add_part(r, &parts, self.as.text, end);
    return parts_list(r, &parts, true);
}

METHOD(str_splitlines)
{
    return qr_string_lines(r, self, qr_args_bool(args, 0, false));
}

static struct qr_value partition(struct qr_render *r, struct qr_value self,
                                 const struct qr_args *args, bool last)
{
    struct qr_value by = qr_args_text(r, args, 0, "a separator");
    struct qr_value parts = qr_list_make(&r->run, QR_TUPLE, 3), *items = parts.as.list->items;

    if (!by.n) qr_run_fail(&r->run, "empty separator");
    qr_run_charge(&r->run, last ? self.n * (by.n + 1) : self.n);
    const char *found = last ? find_last(self.as.text, self.n, by.as.text, by.n)
                             : memmem(self.as.text, self.n, by.as.text, by.n);
    items[0] = items[1] = items[2] = QR_VALUE_LITERAL("");
    items[last ? 2 : 0] = self;
    if (!found) return parts;
    size_t before = (size_t)(found - self.as.text);
    items[0] = qr_value_text(self.as.text, before);
    items[1] = by;
    items[2] = qr_value_text(found + by.n, self.n - before - by.n);
    return parts;
}

METHOD(str_partition)
{
    return partition(r, self, args, false);
}

METHOD(str_rpartition)
{
    return partition(r, self, args, true);
}

METHOD(str_join)
{
    return qr_string_join(r, self, qr_value_iterate(&r->run, args->values[0]), true);
}

/* ---- dict ------------------------------------------------------------------------------------ */

METHOD(dict_get)
{
    const struct qr_value *found = qr_dict_find(&r->run, self.as.dict, args->values[0]);

    if (found) return *found;
    return args->values[1].kind == QR_V_UNSET ? qr_value_none : args->values[1];
}

METHOD(dict_keys)
{
    (void)args;
    struct qr_value list = qr_list_make(&r->run, QR_KEYS, self.as.dict->n);
    for (size_t i = 0; i < self.as.dict->n; i++)
        list.as.list->items[i] = self.as.dict->pairs[i].key;
    return list;
}

METHOD(dict_values)
{
    (void)args;
    struct qr_value list = qr_list_make(&r->run, QR_VALUES, self.as.dict->n);
    for (size_t i = 0; i < self.as.dict->n; i++)
        list.as.list->items[i] = self.as.dict->pairs[i].value;
    return list;
}

METHOD(dict_items)
{
    (void)args;
    return qr_dict_items(&r->run, self.as.dict, QR_ITEMS);
}

METHOD(copy) /* values do not change, so the copy is the value itself */
{
    (void)r;
    (void)args;
    return self;
}

/* ---- list ------------------------------------------------------------------------------------ */

METHOD(list_index)
{
    const struct qr_list *list = self.as.list;

    for (size_t i = 0; i < list->n; i++)
        if (qr_value_equal(&r->run, list->items[i], args->values[0]))
            return qr_value_int((int64_t)i);
    qr_run_fail(&r->run, "the item is not in the list");
}

METHOD(list_count)
{
    int64_t n = 0;

    for (size_t i = 0; i < self.as.list->n; i++)
        n += qr_value_equal(&r->run, self.as.list->items[i], args->values[0]);
    return qr_value_int(n);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static const struct qr_function str_methods[] = {
    {"strip", "chars", 0, str_strip},
    {"lstrip", "chars", 0, str_lstrip},
    {"rstrip", "chars", 0, str_rstrip},
    {"split", "sep maxsplit", 0, str_split},
    {"rsplit", "sep maxsplit", 0, str_rsplit},
    {"splitlines", "keepends", 0, str_splitlines},
    {"partition", "sep", 1, str_partition},
    {"rpartition", "sep", 1, str_rpartition},
    {"startswith", "prefix", 1, str_startswith},
    {"endswith", "suffix", 1, str_endswith},
    {"removeprefix", "prefix", 1, str_removeprefix},
    {"removesuffix", "suffix", 1, str_removesuffix},
    {"replace", "old new count", 2, str_replace},
    {"find", "sub start end", 1, str_find},
    {"rfind", "sub start end", 1, str_rfind},
    {"index", "sub start end", 1, str_index},
    {"count", "sub", 1, str_count},
    {"join", "iterable", 1, str_join},
    {"upper", "", 0, str_upper},
    {"lower", "", 0, str_lower},
    {"title", "", 0, str_title},
    {"capitalize", "", 0, str_capitalize},
    {"isdigit", "", 0, str_isdigit},
    {"isalpha", "", 0, str_isalpha},
    {"isalnum", "", 0, str_isalnum},
    {"isspace", "", 0, str_isspace},
    {"isupper", "", 0, str_isupper},
    {"islower", "", 0, str_islower},
};

static const struct qr_function dict_methods[] = {
    {"get", "key default", 1, dict_get}, {"items", "", 0, dict_items}, {"keys", "", 0, dict_keys},
    {"values", "", 0, dict_values},      {"copy", "", 0, copy},
};

static const struct qr_function list_methods[] = {
    {"index", "value", 1, list_index},
    {"count", "value", 1, list_count},
    {"copy", "", 0, copy},
};

#define FIND(table) qr_function_find(table, sizeof table / sizeof table[0], name)

const struct qr_function *qr_method_find(struct qr_value self, struct qr_value name)
{
    switch (self.kind) {
    case QR_V_STRING: return FIND(str_methods);
    case QR_V_DICT: return FIND(dict_methods);
    case QR_V_LIST: return self.as.list->flavor <= QR_RANGE ? FIND(list_methods) : NULL;
    case QR_V_LOOP: return qr_loop_method_find(name);
    default: return NULL;
    }
}
