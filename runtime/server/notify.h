/* SPDX-License-Identifier: MIT */
/* notify -- tells systemd how far the service is (sd_notify(3)), and takes the sockets that it
 * hands over (sd_listen_fds(3)), without its library.
 *
 * Thread: the main thread.   Memory: the stack. */
#ifndef QR_SERVER_NOTIFY_H
#define QR_SERVER_NOTIFY_H

/* "READY=1", "STOPPING=1".  Nothing happens where nobody asked to be told. */
void qr_notify(const char *state);

/* The number of sockets handed over to this process, from descriptor 3 on; each is made
 * close-on-exec.  0 where there are none. */
#define QR_NOTIFY_FIRST_FD 3
int qr_notify_listen_fds(void);

#endif
