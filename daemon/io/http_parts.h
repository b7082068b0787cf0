/* What the files of the HTTP port share. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

#include "io/http_curl.h"

#define HEADERS_MAX ((size_t)64 * 1024)
#define TURN_MS 10 /* of the loop, for bodies; a server may send faster than they can be read */

/* Header lines for one session token and media type; kept until no request uses them. */
struct header_set {
    char *token; /* NULL: without a session */
    const char *media_type;
    struct curl_slist *plain, *with_body;
    unsigned users;
};

/* One easy handle and the request it carries. */
struct transfer {
    struct transfer *next;           /* free, waiting or ended ones */
    struct transfer *before, *after; /* those under way */
    struct http_curl *http;
    CURL *easy;
    struct http_request *request; /* NULL: free */
    struct header_set *headers;
    unsigned settings; /* number of those whose URL it has */
    long buffer;       /* bytes that curl receives at once */
    size_t received, header_bytes;
    bool too_large;
    bool held_back;     /* was sent and may not be sent again */
    bool waiting;       /* curl does not have it yet */
    bool paused;        /* until the loop comes round */
    uint64_t last_turn; /* in which it took a piece of its body */
    char *session;
    char error[CURL_ERROR_SIZE];
    char text[CURL_ERROR_SIZE + 256]; /* the error with advice */
    CURLcode code;                    /* once ended */
    bool aborted;
};

struct sock;

struct http_curl {
    struct http port;
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;             /* curl's one timer */
    uv_timer_t mend;              /* lets it look at everything, after it failed */
    uv_idle_t given;              /* gives aborted requests back from the loop */
    uv_idle_t resume;             /* lets paused transfers go on */
    uv_idle_t later;              /* gives waiting ones to curl */
    uv_check_t check;             /* ends a turn */
    uint64_t turn, turn_began_ns; /* number; 0 between turns */
    const struct server_settings *settings;
    unsigned n_settings; /* so many there have been */
    const char *media_type;
    char *password;
    struct header_set *headers; /* the last ones */
    struct transfer *free_, *active, *ended;
    unsigned n_active;
    struct transfer *waiting, *waiting_last; /* of the active ones: begun in later turns */
    uint64_t last_fresh_turn;
    unsigned fresh;      /* requests of that turn for which connections are opened */
    unsigned n_open;     /* connections */
    struct sock **socks; /* http_socket.c: by descriptor */
    size_t n_socks;
    unsigned long connections;
    bool in_body;     /* inside on_body: curl must not be called */
    bool stopping;    /* no more requests */
    unsigned handles; /* on the loop, not closed yet */
    void (*on_closed)(void *data);
    void *on_closed_data;
};

/* http_socket.c: curl's sockets and timer on the loop */
void http_socket_setup(struct http_curl *http);
/* Reads every completion; called after each action. */
void http_drain(struct http_curl *http);
/* A callback of the loop that will let curl read begins: notes when the turn began. */
void http_turn_begin(struct http_curl *http);
/* uv_idle_cb: lets paused transfers go on. */
void http_on_resume(uv_idle_t *idle);
/* One handle less; the last one ends the life of the object. */
void http_handle_closed(struct http_curl *http);
/* CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION: a connection's life. */
curl_socket_t http_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address);
int http_close_socket(void *user, curl_socket_t fd);

/* http_easy.c: one transfer */
struct transfer *transfer_new(struct http_curl *http);
void transfer_free(struct transfer *transfer);
int transfer_prepare(struct transfer *transfer, struct http_request *request);
/* Tells the caller how it ended and makes the transfer free. */
void transfer_give_back(struct transfer *transfer);
void header_set_release(struct header_set *set);
