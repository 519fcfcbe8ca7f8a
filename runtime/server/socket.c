/* SPDX-License-Identifier: MIT */
#include "runtime/server/socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool qr_socket_default_path(char *path, size_t path_n)
{
    const char *folder = getenv("XDG_RUNTIME_DIR");
    int n = folder && folder[0] == '/'
                ? snprintf(path, path_n, "%s/quire.sock", folder)
                : snprintf(path, path_n, "/tmp/quire-%u.sock", (unsigned)geteuid());
    return n > 0 && (size_t)n < path_n;
}

/* ---- the lock ------------------------------------------------------------------------------ */

/* An ending server removes the lock file while it holds the lock.  So a lock may be on a file that
 * was removed since open(): it counts only if the name still leads to the same file. */
static bool is_current(int fd, const char *name)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(name, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

bool qr_socket_lock(struct qr_socket_path *at, const char *path, char *why, size_t why_n)
{
    at->lock_fd = -1;
    at->bound = false;
    if (strlen(path) >= sizeof at->path) {
        (void)snprintf(why, why_n, "the socket's path has %zu bytes; expected at most %zu",
                       strlen(path), sizeof at->path - 1);
        return false;
    }
    (void)snprintf(at->path, sizeof at->path, "%s", path);
    (void)snprintf(at->lock, sizeof at->lock, "%s.lock", path);
    for (;;) {
        int fd = open(at->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            (void)snprintf(why, why_n, "cannot open %s: %s", at->lock, strerror(errno));
            return false;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            (void)snprintf(why, why_n, "another server is using %s", path);
            (void)close(fd);
            return false;
        }
        if (is_current(fd, at->lock)) {
            at->lock_fd = fd;
            return true;
        }
        (void)close(fd);
    }
}

void qr_socket_release(struct qr_socket_path *at)
{
    if (at->bound) (void)unlink(at->path);
    at->bound = false;
    if (at->lock_fd >= 0) {
        (void)unlink(at->lock);
        (void)close(at->lock_fd);
    }
    at->lock_fd = -1;
}

/* ---- the Unix socket ----------------------------------------------------------------------- */

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/* Removes a stale socket.  False: the path is in use, or is not a socket. */
static bool replace_stale(const struct qr_socket_path *at, char *why, size_t why_n)
{
    struct stat status;
    if (lstat(at->path, &status) != 0) return true; /* other errors come back from bind */
    if (!S_ISSOCK(status.st_mode)) {
        (void)snprintf(why, why_n, "%s exists and is not a socket", at->path);
        return false;
    }
    struct sockaddr_un address = address_of(at->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return true;
    bool dead =
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    if (!dead) {
        (void)snprintf(why, why_n, "another server answers on %s", at->path);
        return false;
    }
    (void)unlink(at->path);
    return true;
}

bool qr_socket_bind(struct qr_socket_path *at, bool for_all, struct qr_socket *out, char *why,
                    size_t why_n)
{
    assert(at->lock_fd >= 0);
    if (!replace_stale(at, why, why_n)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        (void)snprintf(why, why_n, "cannot create a socket: %s", strerror(errno));
        return false;
    }
    struct sockaddr_un address = address_of(at->path);
    mode_t before = umask(for_all ? 0111 : 0177);
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    int error = errno;
    (void)umask(before);
    if (result != 0) {
        (void)snprintf(why, why_n, "cannot bind %s: %s", at->path, strerror(error));
        (void)close(fd);
        return false;
    }
    at->bound = true;
    *out = (struct qr_socket){.fd = fd, .tcp = false};
    return true;
}

int64_t qr_socket_peer_uid(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    /* A socket of another family may report the uid -1. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || peer.uid == (uid_t)-1) return -1;
    return (int64_t)peer.uid;
}

bool qr_socket_uid_allowed(int64_t uid, const uint32_t *uids, size_t uids_n)
{
    if (uid < 0) return false;
    if (uid == (int64_t)geteuid() || uid == 0) return true;
    for (size_t i = 0; i < uids_n; i++)
        if (uid == (int64_t)uids[i]) return true;
    return false;
}

/* ---- TCP, and sockets from elsewhere ------------------------------------------------------- */

static bool split(const char *host_port, char *host, size_t host_n, char *port, size_t port_n)
{
    const char *colon = strrchr(host_port, ':');
    if (!colon || !colon[1] || strlen(colon + 1) >= port_n) return false;
    const char *from = host_port;
    size_t n = (size_t)(colon - host_port);
    if (n >= 2 && from[0] == '[' && from[n - 1] == ']') {
        from++;
        n -= 2;
    }
    if (n == 0 || n >= host_n) return false;
    memcpy(host, from, n);
    host[n] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

bool qr_socket_is_loopback(int fd)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    return getsockname(fd, (struct sockaddr *)&at, &n) == 0 &&
           is_loopback((const struct sockaddr *)&at);
}

static void name_of(int fd, char *name, size_t name_n)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un un;
    } at;
    memset(&at, 0, sizeof at);
    socklen_t n = sizeof at;
    char host[64] = "?", port[16] = "?";
    if (getsockname(fd, &at.any, &n) != 0) {
        (void)snprintf(name, name_n, "descriptor %d", fd);
    } else if (at.any.sa_family == AF_UNIX) {
        (void)snprintf(name, name_n, "%s", at.un.sun_path);
    } else {
        (void)getnameinfo(&at.any, n, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
        (void)snprintf(name, name_n, strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host,
                       port);
    }
}

bool qr_socket_bind_tcp(const char *host_port, struct qr_socket *out, bool *loopback, char *name,
                        size_t name_n, char *why, size_t why_n)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (!split(host_port, host, sizeof host, port, sizeof port)) {
        (void)snprintf(why, why_n, "--listen \"%s\" is not an address; expected HOST:PORT",
                       host_port);
        return false;
    }
    int result = getaddrinfo(host, port, &hints, &found);
    if (result != 0) {
        (void)snprintf(why, why_n, "--listen: cannot resolve %s: %s", host_port,
                       gai_strerror(result));
        return false;
    }
    *loopback = is_loopback(found->ai_addr);
    int yes = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool bound = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                 bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    int error = errno;
    freeaddrinfo(found);
    if (!bound) {
        (void)snprintf(why, why_n, "--listen: cannot bind %s: %s", host_port, strerror(error));
        if (fd >= 0) (void)close(fd);
        return false;
    }
    name_of(fd, name, name_n);
    *out = (struct qr_socket){.fd = fd, .tcp = true};
    return true;
}

bool qr_socket_adopt(int fd, struct qr_socket *out, char *name, size_t name_n)
{
    int domain = 0, type = 0;
    socklen_t n = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) != 0) return false;
    n = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM) return false;
    if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6) return false;
    name_of(fd, name, name_n);
    *out = (struct qr_socket){.fd = fd, .tcp = domain != AF_UNIX};
    return true;
}
