/* SPDX-License-Identifier: MIT */
#include "runtime/server/notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void qr_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path) return;

    size_t path_n = strlen(path);
    memcpy(to.sun_path, path, path_n);
    if (path[0] == '@') to.sun_path[0] = '\0'; /* Linux's abstract names */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    /* The protocol is best effort: the service also works if the message is lost. */
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_n));
    (void)sent;
    (void)close(fd);
}

int qr_notify_listen_fds(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid()) return 0;
    long n = strtol(fds, NULL, 10);
    if (n < 0 || n > 64) return 0;
    for (long i = 0; i < n; i++)
        (void)fcntl(QR_NOTIFY_FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
    return (int)n;
}
