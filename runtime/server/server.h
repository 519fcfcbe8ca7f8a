/* SPDX-License-Identifier: MIT */
/* server -- one uv loop that serves one model until it is told to stop.
 *
 *   STARTING -> SERVING -> DRAINING -> ENDED
 *
 * SERVING: the loop sleeps until a socket, the engine's descriptor, a worker or a signal is ready.
 * No timer ticks on an idle server.
 * DRAINING: the first SIGTERM or SIGINT closes the listeners and refuses new requests with 503.
 * Running requests may finish.  The drain timeout or a second signal cancels them.
 *
 *     uv_poll ----> callbacks: socket read, engine event, worker done, signal, timer
 *        ^              |  they enter connections into `dirty` and write nothing themselves
 *        |              v
 *        +---- before_poll hook: flush every dirty connection, then end if draining is done
 *
 * So whatever one turn of the loop produces for a connection leaves in one write.
 *
 * The server uses the engine through quire.h only.
 *
 * Thread: the loop's.  Only a job's run() may be on a worker (job.h).
 * Memory: settings.memory. */
#ifndef QR_SERVER_SERVER_H
#define QR_SERVER_SERVER_H

#include "runtime/server/socket.h"
#include "runtime/server/state.h"

/* Takes over the listening descriptors: all of them, or none.  0 or a negative uv error. */
int qr_server_init(struct qr_server *server, const struct qr_server_settings *settings,
                   const struct qr_socket *sockets, size_t sockets_n);
/* Serves until drained. */
void qr_server_run(struct qr_server *server);
void qr_server_deinit(struct qr_server *server);

#endif
