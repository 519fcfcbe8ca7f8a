/* SPDX-License-Identifier: MIT */
/* notify -- systemd's protocol without its library: service states (sd_notify(3)) and sockets
 * passed to the process (sd_listen_fds(3)).
 *
 * Thread: the main thread.   Memory: the stack. */
#ifndef QR_SERVER_NOTIFY_H
#define QR_SERVER_NOTIFY_H

/* Sends "READY=1" or "STOPPING=1".  Does nothing if NOTIFY_SOCKET is not set. */
void qr_notify(const char *state);

/* The number of sockets passed to this process, from descriptor 3 on.  Sets close-on-exec on each.
 * 0: none. */
#define QR_NOTIFY_FIRST_FD 3
int qr_notify_listen_fds(void);

#endif
