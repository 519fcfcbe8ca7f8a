/* SPDX-License-Identifier: MIT */
/* socket -- the descriptors that quired listens on.
 *
 * A process owns a Unix socket's path while it holds the lock on PATH.lock.  The owner replaces a
 * stale socket.  It refuses a path on which a server still answers, even without a lock.  The
 * socket is created with its final mode: 0600, or 0666 if the server checks each peer's uid.
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

/* Writes the default path.  False: it is too long. */
bool qr_socket_default_path(char *path, size_t path_n);

/* Checks the path's length and takes its lock.  False: `why` holds the reason. */
bool qr_socket_lock(struct qr_socket_path *at, const char *path, char *why, size_t why_n);
/* Binds the locked path.  The server listens on it later. */
bool qr_socket_bind(struct qr_socket_path *at, bool for_all, struct qr_socket *out, char *why,
                    size_t why_n);
/* Removes the socket and its lock file. */
void qr_socket_release(struct qr_socket_path *at);

/* Binds HOST:PORT ([::1]:8000 for IPv6; port 0: any free port).  *loopback: only this machine can
 * reach it.  name receives the bound address. */
bool qr_socket_bind_tcp(const char *host_port, struct qr_socket *out, bool *loopback, char *name,
                        size_t name_n, char *why, size_t why_n);

/* Takes over a socket that systemd has bound.  name receives its path or address.  False: it is
 * not a stream socket of Unix or TCP. */
bool qr_socket_adopt(int fd, struct qr_socket *out, char *name, size_t name_n);

/* The uid of the peer of a Unix socket; -1: unknown. */
int64_t qr_socket_peer_uid(int fd);
/* True if a TCP connection came in on a loopback address of this machine. */
bool qr_socket_is_loopback(int fd);
/* True if uid is this process's effective uid, root, or one of uids. */
bool qr_socket_uid_allowed(int64_t uid, const uint32_t *uids, size_t uids_n);

#endif
