/* SPDX-License-Identifier: MIT */
/* socket -- the descriptors that quired listens on.
 *
 * A Unix socket's path belongs to whoever holds the lock file beside it (PATH.lock).  The holder
 * replaces a stale socket; a path without a lock holder that still answers is refused too.  The
 * socket has its mode from the moment it exists: 0600, or 0666 where peers are checked one by one.
 *
 * Thread: the main thread, before the loop runs.   Memory: none kept. */
#ifndef QR_SERVER_SOCKET_H
#define QR_SERVER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

struct qr_socket {
    int fd;
    bool tcp;
};

#define QR_SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/* A Unix socket's path and its lock. */
struct qr_socket_path {
    char path[QR_SOCKET_PATH_MAX];
    char lock[QR_SOCKET_PATH_MAX + 8];
    int lock_fd; /* -1: not held */
    bool bound;
};

/* The default path.  False: it is too long. */
bool qr_socket_default_path(char *path, size_t path_n);

/* Checks the path's length and takes its lock.  False: `why` says what stands against it. */
bool qr_socket_lock(struct qr_socket_path *at, const char *path, char *why, size_t why_n);
/* Binds the path that is locked; listening is the server's. */
bool qr_socket_bind(struct qr_socket_path *at, bool for_all, struct qr_socket *out, char *why,
                    size_t why_n);
/* Takes the socket and its lock away. */
void qr_socket_release(struct qr_socket_path *at);

/* Binds HOST:PORT ([::1]:8000 for IPv6; port 0: any free one).  *loopback: only this machine can
 * reach it.  name is the address that was bound. */
bool qr_socket_bind_tcp(const char *host_port, struct qr_socket *out, bool *loopback, char *name,
                        size_t name_n, char *why, size_t why_n);

/* A socket that somebody else has bound (systemd); its path or address goes to name. */
bool qr_socket_adopt(int fd, struct qr_socket *out, char *name, size_t name_n);

/* The user at the other end of a Unix socket; -1: not to be had. */
int64_t qr_socket_peer_uid(int fd);
/* Whether a peer is the owner of this process, root, or one of uids. */
bool qr_socket_uid_allowed(int64_t uid, const uint32_t *uids, size_t uids_n);

#endif
