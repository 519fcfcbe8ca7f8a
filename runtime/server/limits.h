/* SPDX-License-Identifier: MIT */
/* limits -- every limit of the server, each with the sum that explains it. */
#ifndef QR_SERVER_LIMITS_H
#define QR_SERVER_LIMITS_H

/* A request's line and headers.  Browsers and proxies stay under 16 KiB. */
#define QR_HTTP_HEADER_MAX (32u * 1024u)
/* A request's body: a million ids of seven letters each are 7 MiB. */
#define QR_HTTP_BODY_MAX (8u * 1024u * 1024u)
/* Bytes behind a request in progress (pipelining) that are read before the socket is left alone. */
#define QR_CONN_AHEAD_MAX (64u * 1024u)
/* Output that waits for a reader; above it a deadline runs and pipelined requests wait.
 * About 4,000 streamed tokens of 250 bytes. */
#define QR_CONN_HIGH_WATER (1024u * 1024u)
/* A reader that takes less than this in one write timeout does not read: 64 KiB in 30 s are 2 KB/s.
 */
#define QR_CONN_READ_LEAST (64u * 1024u)
/* A closing connection is read on for this long, so that the answer is not lost to a reset. */
#define QR_CONN_LINGER_MS 2000u
/* After cancelled requests have been told so, connections have this long to take it. */
#define QR_DRAIN_LAST_MS 1000u
/* One read from a socket. */
#define QR_CONN_READ_BYTES (64u * 1024u)
/* Bodies above this are parsed and tokenised on a worker: 4 KB of text take about 1 ms. */
#define QR_WORKER_BODY_BYTES 4096u
/* Events taken in one turn of the loop, so that accepts and reads get theirs: 16 full batches. */
#define QR_EVENTS_A_TURN 4096u
/* A request's cache_salt: with who asks in front the engine's limit is not reached. */
#define QR_SALT_MAX 1024u
/* Prompts in one request: OpenAI's own limit is 2,048. */
#define QR_PROMPTS_MAX 2048u
/* Messages in one conversation, and text parts in one message. */
#define QR_MESSAGES_MAX 4096u

/* The first room for a rendered conversation: most are shorter, and a longer one is rendered twice.
 */
#define QR_RENDERED_BYTES ((size_t)32 << 10)
/* Keys in the key file, and ids given with --allow-uid. */
#define QR_API_KEYS_MAX   256u
#define QR_ALLOW_UIDS_MAX 64u
/* Listening sockets: the Unix socket, a TCP one, or what systemd hands over. */
#define QR_LISTENERS_MAX 8u

#endif
