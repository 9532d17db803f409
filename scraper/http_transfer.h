/* One request on a curl easy handle: set-up from a client block, the answer's head, error texts.
 * Used by the scrape shards (multi handle) and by http_client_fetch. One owner thread. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "narthex/scraper/http_client.h"

struct http_transfer {
    CURL *easy; /* NULL until curl is needed */
    struct curl_slist *headers;
    struct curl_slist *proxy_headers;
    struct curl_slist *connect_to;
    char curl_error[CURL_ERROR_SIZE];
    struct strbuf scratch;
    struct strbuf url;
    char method[8];           /* as Go prints it: "Get" */
    struct str unix_socket;   /* borrowed from the request */
    struct str wanted_header; /* as above */
    struct strbuf token_body; /* answer of the OAuth2 token endpoint */
    bool for_token;
    struct http_answer answer;
    bool answered; /* the head of the final answer is complete */
    /* Redirects are followed by the owner, hop by hop (http_transfer_follow). */
    bool follow_redirects;
    bool withhold;          /* credentials: the way led to a foreign host */
    uint32_t redirects;     /* followed so far */
    size_t discarded_bytes; /* of the body of a redirect */
    struct strbuf location; /* of the answer; empty: none */
    struct strbuf origin;   /* URL of the first request */
    /* Takes a piece of the body; false ends the transfer (CURLE_WRITE_ERROR). */
    bool (*on_body)(void *context, const char *data, size_t size);
    void *context;
    /* Of an exchange without curl (scrape_wire.c). */
    bool direct;
    int direct_errno;
    char direct_peers[128]; /* "127.0.0.1:1->127.0.0.1:2", once it has failed */
};

static inline bool http_status_redirects(uint32_t status)
{
    return status >= 300 && status <= 399;
}

void http_transfer_init(struct http_transfer *transfer);
void http_transfer_deinit(struct http_transfer *transfer);
/* Sets the easy handle up anew; its connections stay. */
err_t http_transfer_prepare(struct http_transfer *transfer, struct http_client *client,
                            const struct http_request *request,
                            bool (*on_body)(void *context, const char *data, size_t size),
                            void *context, struct strbuf *why);
/* Whether the transfer ended, with CURLE_OK or CURLE_WRITE_ERROR, in a redirect that is to be
 * followed; its body was not given to on_body. */
bool http_transfer_is_redirect(const struct http_transfer *transfer);
/* Prepares the next hop of `request`, which is the one of http_transfer_prepare with the time that
 * is left. Credentials go to the first host and to names below it, and to nobody any more once
 * another was asked. */
err_t http_transfer_follow(struct http_transfer *transfer, struct http_client *client,
                           const struct http_request *request, struct strbuf *why);
/* Lets curl connect to the host of the request's URL, and no more. */
void http_transfer_prepare_connect(struct http_transfer *transfer,
                                   const struct http_request *request);
/* For an exchange without curl: `answer` and `answered` are the caller's to fill, and texts of
 * failures are those that curl's codes give. */
void http_transfer_begin_direct(struct http_transfer *transfer, struct str url);
/* The system said so; to be called while the socket is open. */
void http_transfer_note_error(struct http_transfer *transfer, int fd, int error);
/* Go's text for the way a transfer ended; `code` is not CURLE_OK. */
void http_transfer_failure(struct http_transfer *transfer, CURLcode code, struct strbuf *why);
/* `Get "URL": ` in front of `cause`. */
void http_transfer_explain(const struct http_transfer *transfer, const char *cause,
                           struct strbuf *why);

/* OAuth2: whether a token must be fetched before the request itself can be prepared. */
bool http_client_needs_token(struct http_client *client);
err_t http_transfer_prepare_token(struct http_transfer *transfer, struct http_client *client,
                                  const struct http_request *request, struct strbuf *why);
/* After that transfer ended with CURLE_OK: keeps the token. */
err_t http_client_take_token(struct http_client *client, struct http_transfer *transfer,
                             struct strbuf *why);
