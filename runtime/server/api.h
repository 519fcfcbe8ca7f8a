/* SPDX-License-Identifier: MIT */
/* api -- the endpoints.  route.c calls each with a connection that has read its request.
 *
 * Thread: the loop's.   Memory: the server's allocator. */
#ifndef QR_SERVER_API_H
#define QR_SERVER_API_H

struct qr_conn;

void qr_api_completions(struct qr_conn *conn);  /* api_completions.c */
void qr_api_chat(struct qr_conn *conn);         /* api_chat.c */
void qr_api_responses(struct qr_conn *conn);    /* api_responses.c */
void qr_api_messages(struct qr_conn *conn);     /* api_messages.c */
void qr_api_input_tokens(struct qr_conn *conn); /* api_tokenize.c */
void qr_api_chat_input_tokens(struct qr_conn *conn);
void qr_api_count_tokens(struct qr_conn *conn);
void qr_api_tokenize(struct qr_conn *conn); /* api_tokenize.c */
void qr_api_detokenize(struct qr_conn *conn);
void qr_api_tokenizer_info(struct qr_conn *conn);
void qr_api_embeddings(struct qr_conn *conn); /* api_models.c */
void qr_api_models(struct qr_conn *conn);
void qr_api_model(struct qr_conn *conn); /* one, by its id */
void qr_api_health(struct qr_conn *conn);
void qr_api_version(struct qr_conn *conn);
void qr_api_metrics(struct qr_conn *conn);

#endif
