/* SPDX-License-Identifier: MIT */
/* schema_string -- strings: lengths, patterns and formats, as they are written in JSON. */
#include <string.h>
#include <utf8proc.h>

#include "runtime/grammar/pattern.h"
#include "runtime/grammar/schema_parts.h"

/* ---- formats -------------------------------------------------------------------------------- */

#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4  "(?:" OCTET "\\." OCTET "\\." OCTET "\\." OCTET ")"
#define H16   "[0-9A-Fa-f]{1,4}"
#define LS32  "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                       \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32      \
    "|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16             \
    ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16       \
    ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16 ":){0,6}" H16   \
    ")?::)"
#define DATE                                                                                       \
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]"    \
    "[0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:"    \
    "[02468][048]|[13579][26])00)-02-29)"
#define TIME                                                                                       \
    "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):"    \
    "[0-5][0-9]))"
/* 1 to 63 characters, without "--" as the third and fourth: what may follow xn-- is not regular */
#define ALNUM "[A-Za-z0-9]"
#define INNER "[A-Za-z0-9-]"
#define LABEL                                                                                      \
    ALNUM "(?:" INNER "{0,2}" ALNUM "|" INNER "(?:" ALNUM INNER "|-" ALNUM ")" INNER               \
          "{0,58}" ALNUM ")?"
#define HOSTNAME "(?:" LABEL "(?:\\." LABEL ")*)"
#define ATOM     "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define SPAN     "(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
#define PERCENT  "%[0-9A-Fa-f]{2}"
#define PCHAR    "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|" PERCENT ")"
#define REGNAME  "(?:[A-Za-z0-9._~!$&'()*+,;=-]|" PERCENT ")*"
#define USER     "(?:[A-Za-z0-9._~!$&'()*+,;=:-]|" PERCENT ")*"
#define FUTURE   "v[0-9A-Fa-f]+\\.[A-Za-z0-9._~!$&'()*+,;=:-]+"
#define HOST     "(?:\\[(?:" IPV6 "|" FUTURE ")\\]|" REGNAME ")"
#define PATHS    "(?:/" PCHAR "*)*"
#define SEGMENTS PCHAR "+" PATHS
#define TAIL     "(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?"
#define NETPATH  "//(?:" USER "@)?" HOST "(?::[0-9]*)?" PATHS
#define URI      "[A-Za-z][A-Za-z0-9+.-]*:(?:" NETPATH "|/(?:" SEGMENTS ")?|" SEGMENTS "|)" TAIL
#define NOCOLON  "(?:[A-Za-z0-9._~!$&'()*+,;=@-]|" PERCENT ")+" PATHS
#define POINTER  "(?:/(?:[^~/]|~[01])*)*"

static const struct {
    const char *name;
    const char *pattern;
    const char *other; /* one more alternative, or NULL */
} formats[] = {
    {"date", DATE, NULL},
    {"time", TIME, NULL},
    {"date-time", DATE "T" TIME, NULL},
    {"duration",
     "P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:T" SPAN
     ")?|T" SPAN ")",
     NULL},
    {"email", ATOM "(?:\\." ATOM ")*@" HOSTNAME, NULL},
    {"hostname", HOSTNAME, NULL},
    {"ipv4", IPV4, NULL},
    {"ipv6", IPV6, NULL},
    {"uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", NULL},
    {"uri", URI, NULL},
    {"uri-reference", URI, "(?:" NETPATH "|/(?:" SEGMENTS ")?|" NOCOLON "|)" TAIL},
    {"json-pointer", POINTER, NULL},
    {"relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")", NULL},
};

static qr_rx compile_format(struct qr_schema *s, const char *pattern)
{
    struct qr_pattern_error error;
    qr_rx rx = QR_RX_NONE;

    if (!pattern) return rx;
    if (!qr_pattern_compile(s->pool, pattern, strlen(pattern), QR_WRITING_JSON, false, &rx, &error))
        s->budget->failed = true; /* the patterns above are right: memory is out */
    return rx;
}

qr_rx qr_schema_format(struct qr_schema *s, const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) != 0) continue;
        return qr_rx_or(s->pool, compile_format(s, formats[i].pattern),
                        compile_format(s, formats[i].other));
    }
    return QR_RX_NONE;
}

/* ---- texts ---------------------------------------------------------------------------------- */

qr_rx qr_schema_pattern(struct qr_schema *s, const json_t *schema, const char *keyword,
                        const char *pattern, size_t n)
{
    struct qr_pattern_error error;
    qr_rx rx;

    if (qr_pattern_compile(s->pool, pattern, n, QR_WRITING_JSON, true, &rx, &error)) return rx;
    if (!s->budget->failed)
        qr_schema_refuse(s, schema, keyword, "%s at byte %zu of \"%.60s\"", error.complaint,
                         error.at, pattern);
    return QR_RX_NONE;
}

/* A text as json.dumps writes it inside its quotes. */
qr_rx qr_schema_literal_text(struct qr_schema *s, const char *text, size_t n)
{
    qr_rx all = QR_RX_EMPTY;

    for (size_t end = n; end > 0;) { /* from the end, a character at a time */
        size_t begin = end - 1;
        utf8proc_int32_t code;
        while (begin > 0 && ((uint8_t)text[begin] & 0xc0) == 0x80)
            begin--;
        if (utf8proc_iterate((const utf8proc_uint8_t *)text + begin,
                             (utf8proc_ssize_t)(end - begin), &code) <= 0)
            return QR_RX_NONE;
        if (code >= 0x20 && code != '"' && code != '\\') {
            all = qr_rx_cat(s->pool, qr_rx_bytes(s->pool, text + begin, end - begin), all);
        } else {
            struct qr_charset one = {0};
            qr_charset_add(s->budget, &one, (uint32_t)code, (uint32_t)code);
            all = qr_rx_cat(s->pool, qr_charset_write(s->pool, &one, QR_WRITING_JSON), all);
            qr_charset_free(s->budget, &one);
        }
        end = begin;
    }
    return all;
}

qr_rx qr_schema_quoted(struct qr_schema *s, qr_rx text)
{
    return qr_rx_cat(s->pool, s->quote, qr_rx_cat(s->pool, text, s->quote));
}

qr_rx qr_schema_quoted_literal(struct qr_schema *s, const char *text, size_t n)
{
    return qr_schema_quoted(s, qr_schema_literal_text(s, text, n));
}

static qr_rx lengths(struct qr_schema *s, uint32_t min, uint32_t max)
{
    return min > max ? QR_RX_NONE : qr_rx_repeat(s->pool, s->any_char, min, max);
}

/* What a keyword that must not hold demands. */
static qr_rx breaking(struct qr_schema *s, const struct qr_demands *d, size_t i)
{
    const json_t *schema = qr_demand_not(d, i, "pattern");

    if (!schema) return QR_RX_ALL;
    const json_t *pattern = json_object_get(schema, "pattern");
    if (!json_is_string(pattern)) return QR_RX_ALL;
    qr_rx rx = qr_schema_pattern(s, schema, "pattern", json_string_value(pattern),
                                 json_string_length(pattern));
    return qr_rx_and(s->pool, s->plain_text, qr_rx_not(s->pool, rx));
}

qr_rx qr_schema_text(struct qr_schema *s, const struct qr_demands *d)
{
    uint32_t min = qr_schema_count(s, d, "minLength", true, 0);
    uint32_t max = qr_schema_count(s, d, "maxLength", false, QR_RX_UNBOUNDED);
    qr_rx rx = QR_RX_ALL;

    for (size_t i = 0; i < d->n && !s->failed; i++) {
        const json_t *pattern = qr_demand_get(s, d, i, "pattern");
        const json_t *format = qr_demand_get(s, d, i, "format");
        if (json_is_string(pattern))
            rx = qr_rx_and(s->pool, rx,
                           qr_schema_pattern(s, d->all[i].a, "pattern", json_string_value(pattern),
                                             json_string_length(pattern)));
        if (json_is_string(format)) {
            qr_rx one = qr_schema_format(s, json_string_value(format));
            if (one == QR_RX_NONE)
                qr_schema_refuse(s, d->all[i].a, "format", "\"%.40s\" is not supported",
                                 json_string_value(format));
            rx = qr_rx_and(s->pool, rx, one);
            if (strcmp(json_string_value(format), "hostname") == 0 && max > 253) max = 253;
        }
        if (d->all[i].kind == QR_DEMAND_NOT_VALUE && json_is_string(d->all[i].a)) {
            qr_rx one = qr_schema_literal_text(s, json_string_value(d->all[i].a),
                                               json_string_length(d->all[i].a));
            rx = qr_rx_and(s->pool, rx, qr_rx_and(s->pool, s->plain_text, qr_rx_not(s->pool, one)));
        }
        rx = qr_rx_and(s->pool, rx, breaking(s, d, i));
    }
    if (rx == QR_RX_ALL) return min || max != QR_RX_UNBOUNDED ? lengths(s, min, max) : s->any_text;
    if (min || max != QR_RX_UNBOUNDED) rx = qr_rx_and(s->pool, rx, lengths(s, min, max));
    return qr_rx_and(s->pool, rx, s->any_text);
}
