/* SPDX-License-Identifier: MIT */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/client/bytes.h"
#include "tools/client/http.h"

static bool read_socket(struct qr_address *a, const char *path, struct qr_failure *why)
{
    if (!path[0] || strlen(path) >= sizeof a->socket)
        return qr_failed(why, "the socket path '%.80s' has %zu bytes; expected 1 to %zu", path,
                         strlen(path), sizeof a->socket - 1);
    a->is_unix = true;
    snprintf(a->socket, sizeof a->socket, "%s", path);
    snprintf(a->host, sizeof a->host, "localhost");
    snprintf(a->name, sizeof a->name, "%s", path);
    return true;
}

static bool read_url(struct qr_address *a, const char *url, struct qr_failure *why)
{
    static const char scheme[] = "http://";
    if (!qr_bytes_begin(url, strlen(url), scheme))
        return qr_failed(why, "'%.80s' is not a server's address; expected http://HOST:PORT", url);
    const char *host = url + sizeof scheme - 1;
    size_t authority_n = strcspn(host, "/");
    if (authority_n == 0 || authority_n >= sizeof a->host)
        return qr_failed(why, "'%.80s' has no host; expected http://HOST:PORT", url);
    snprintf(a->host, sizeof a->host, "%.*s", (int)authority_n, host);

    const char *base = host + authority_n;
    size_t base_n = strlen(base);
    while (base_n && base[base_n - 1] == '/')
        base_n--;
    static const char version[] = "/v1"; /* every path that is asked for begins with it */
    if (qr_bytes_end(base, base_n, version)) base_n -= sizeof version - 1;
    if (base_n >= sizeof a->base)
        return qr_failed(why, "'%.80s...' is too long; expected a path of at most %zu bytes", url,
                         sizeof a->base - 1);
    snprintf(a->base, sizeof a->base, "%.*s", (int)base_n, base);
    snprintf(a->name, sizeof a->name, "http://%s%s", a->host, a->base);

    char name[sizeof a->host], port[8] = "80";
    snprintf(name, sizeof name, "%s", a->host);
    char *colon = strrchr(name, ':');
    char *bracket = strrchr(name, ']');
    if (colon && (!bracket || colon > bracket)) {
        if (strlen(colon + 1) > 5 || !colon[1] ||
            strspn(colon + 1, "0123456789") != strlen(colon + 1))
            return qr_failed(why, "'%.80s' has no valid port; expected a number from 1 to 65535",
                             url);
        snprintf(port, sizeof port, "%.5s", colon + 1);
        *colon = 0;
    }
    char *start = name;
    if (bracket && name[0] == '[') {
        *bracket = 0;
        start = name + 1;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int status = getaddrinfo(start, port, &hints, &found);
    if (status) return qr_failed(why, "'%.80s': %s", start, gai_strerror(status));
    memcpy(&a->tcp, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

bool qr_address_read(struct qr_address *address, const char *socket, const char *url,
                     struct qr_failure *why)
{
    memset(address, 0, sizeof *address);
    return socket ? read_socket(address, socket, why) : read_url(address, url, why);
}

void qr_address_default_socket(char *path, size_t path_n)
{
    const char *folder = getenv("XDG_RUNTIME_DIR");
    if (folder && folder[0])
        snprintf(path, path_n, "%s/quire.sock", folder);
    else
        snprintf(path, path_n, "/tmp/quire-%u.sock", (unsigned)getuid());
}
