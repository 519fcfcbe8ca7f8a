/* SPDX-License-Identifier: MIT */
/* limits -- every limit of the server, each with its reason. */
#ifndef QR_SERVER_LIMITS_H
#define QR_SERVER_LIMITS_H

/* Bytes of a request's line and headers.  Browsers and proxies stay under 16 KiB. */
#define QR_HTTP_HEADER_MAX (32u * 1024u)
/* Bytes of a request's body, without --max-body: a million ids of seven digits are 7 MiB. */
#define QR_HTTP_BODY_MAX (8u * 1024u * 1024u)
/* Bytes read ahead of a request in progress (pipelining); with more the server stops reading. */
#define QR_CONN_AHEAD_MAX (64u * 1024u)
/* Bytes of unwritten output above which the write deadline runs and pipelined requests wait.
 * About 4,000 streamed tokens of 250 bytes. */
#define QR_CONN_HIGH_WATER (1024u * 1024u)
/* A client that takes fewer bytes than this in one write timeout is dropped: 64 KiB in 30 s are
 * 2 KB/s.  The body deadline restarts whenever this many bytes have arrived. */
#define QR_CONN_READ_LEAST (64u * 1024u)
/* How long a closing connection is still read, so that no reset destroys the answer. */
#define QR_CONN_LINGER_MS 2000u
/* How long connections may take to receive the error of a request cancelled at shutdown. */
#define QR_DRAIN_LAST_MS 1000u
/* Bytes of one read from a socket. */
#define QR_CONN_READ_BYTES (64u * 1024u)
/* Larger bodies are parsed and tokenised on a worker: 4 KB of text take about 1 ms. */
#define QR_WORKER_BODY_BYTES 4096u
/* Events of the engine handled in one turn, so that sockets are served too: 16 full batches. */
#define QR_EVENTS_A_TURN 4096u
/* Bytes of a request's cache_salt.  The caller's name precedes it, within QR_CACHE_SALT_MAX. */
#define QR_SALT_MAX 1024u
/* Prompts in one request: OpenAI's own limit is 2,048. */
#define QR_PROMPTS_MAX 2048u
/* Tools in one request (OpenAI's limit is 128), and bytes of a tool's name. */
#define QR_TOOLS_MAX     1024u
#define QR_TOOL_NAME_MAX 128u
/* Messages in one conversation, and text parts in one message. */
#define QR_MESSAGES_MAX 4096u

/* Bytes reserved for a rendered conversation.  Most are shorter; a longer one is rendered twice. */
#define QR_RENDERED_BYTES ((size_t)32 << 10)
/* Bytes of a rendered conversation's end, which shows whether it opens the reasoning. */
#define QR_PROMPT_TAIL_BYTES 512u
/* Keys in the key file, and ids given with --allow-uid. */
#define QR_API_KEYS_MAX   256u
#define QR_ALLOW_UIDS_MAX 64u
/* Listening sockets: one Unix socket and seven of --listen, or the sockets from systemd. */
#define QR_LISTENERS_MAX 8u

#endif
