/* What the files of the control socket share. */
#pragma once

#include <microhttpd.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/table.h"
#include "io/control.h"

#define CONTROL_WATCHERS_MAX 64
#define CONTROL_FAILURES_KEPT 256
#define CONTROL_REFUSED_KEPT 32
#define CONTROL_ANSWER_MAX ((size_t)256 * 1024 * 1024)

enum connection_phase {
    CONNECTION_READING,   /* a request is awaited or arrives: under a deadline */
    CONNECTION_ASKED,     /* the service has it */
    CONNECTION_ANSWERING, /* libmicrohttpd sends; its own time-out watches over progress */
};

/* One client. Lives from accept until libmicrohttpd has closed it. */
struct connection {
    struct connection *before, *after;
    struct control *control;
    struct control_request *request; /* under way, or NULL */
    int fd;
    uid_t uid;
    bool served; /* got an answer already */
    enum connection_phase phase;
    uint64_t since_ms; /* in this phase; loop time */
};

/* A client that was sent away. It is given a second to read why: closed at once, its request would
 * meet a broken pipe, and many clients then read no more. */
struct refusal {
    int fd; /* or -1 */
    uint64_t since_ms;
};

struct route;

struct control_request {
    struct control *control;       /* NULL once control is gone or the client has left: */
    struct MHD_Connection *client; /* then nobody waits for the answer */
    struct connection *connection;
    uid_t uid;
    const struct route *route;
    char *text;   /* the run's part or the schedule's name, or NULL */
    size_t limit; /* of a list */
    struct buf body;
    size_t reserved; /* of control->body_bytes */
    size_t held;     /* of control->answer_bytes */
    bool makes_run;  /* its answer is 201 */
    bool asked;      /* the service has it and must answer */
    bool suspended;
    struct MHD_Response *response; /* the answer, once there is one */
    unsigned status;
};

/* A run as watchers know it. */
struct watched_run {
    char id[CONTROL_ID_LEN + 1];
    uint64_t serial; /* when it changed last */
    bool ended;
    char *json;
};

struct watched_failure {
    char run[CONTROL_ID_LEN + 1];
    char *json;
};

/* A client of the event stream. */
struct watcher {
    struct watcher *before, *after;
    struct control *control;
    struct MHD_Connection *client;
    char run[CONTROL_ID_LEN + 1]; /* this one only; "": all */
    uint64_t joined, seen;        /* serials: when it came, and of its last whole round */
    uint64_t round;               /* serial at which the round under way began */
    size_t cursor;                /* the next run of that round */
    uint64_t next_failure;        /* number of the first one not told */
    struct buf pending;           /* events to be sent, from `sent` on */
    size_t sent;
    uint64_t told_ms; /* when something was put into `pending` last */
    bool suspended, ending;
};

struct watch {
    struct watcher *watchers;
    unsigned n_watchers;
    struct watched_run *runs;
    size_t n_runs, size_runs, n_ended;
    struct table by_id;
    uint64_t serial;
    struct watched_failure failures[CONTROL_FAILURES_KEPT]; /* number N at N modulo its size */
    uint64_t n_failures;                                    /* ever told */
    uint64_t epoch; /* of this process: failures are numbered anew by the next */
    uv_timer_t timer;
};

struct control {
    uv_loop_t *loop;
    struct control_options options;
    struct MHD_Daemon *http;
    int listen_fd, spare_fd; /* the spare one is given up to refuse a client when no other is left */
    struct refusal refused[CONTROL_REFUSED_KEPT];
    unsigned next_refused;
    bool own_socket;
    struct sockaddr_un address;
    dev_t socket_dev;
    ino_t socket_ino;
    gid_t group;
    bool group_known;
    struct connection *connections;
    unsigned n_connections;
    size_t body_bytes;   /* of bodies in memory */
    size_t answer_bytes; /* of results, reports and previews that clients are taking */
    struct watch watch;
    uv_poll_t listener, poll; /* poll: libmicrohttpd's epoll */
    uv_timer_t timer;         /* what libmicrohttpd wants to be called for */
    uv_timer_t sweep;         /* deadlines; and the end of closing */
    bool closing;
    bool resumed;      /* a client was, since libmicrohttpd ran last */
    uint64_t close_ms; /* latest end of closing */
    unsigned handles;  /* on the loop, the first so many of control.c's list; then: not closed yet */
    void (*on_closed)(void *data);
    void *on_closed_data;
};

/* control.c: a suspended client goes on in the loop's next round. */
void control_resume(struct control *control, struct MHD_Connection *client);

/* control_socket.c: the listening socket and who is at the other end. */
int control_listen(struct control *control, struct buf *ret_error);
void control_unlisten(struct control *control);
/* Accepts what waits, or refuses it with a short answer. False when not even that can be done now. */
bool control_accept(struct control *control);
/* Closes those that were sent away a second ago. True while there are others. */
bool control_close_refused(struct control *control, uint64_t now_ms);
/* Sends an answer past libmicrohttpd, which has sent none on that socket, and shuts it down as shutdown(2)
 * has it. */
void control_send_raw(int fd, int how, const char *status, const char *code, const char *message);
bool control_peer_may(const struct control *control, int fd, uid_t *ret_uid);

/* control_request.c: one request from its head to the call of its op. */
enum MHD_Result control_on_request(void *data, struct MHD_Connection *client, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_len, void **state);
void control_on_done(void *data, struct MHD_Connection *client, void **state,
                     enum MHD_RequestTerminationCode code);
/* The client is no longer there to be answered. */
void control_request_leave(struct control_request *request);

/* control_reply.c */
/* Gives the request its answer; `response` is taken, NULL when out of memory. */
void control_answer(struct control_request *request, unsigned status, struct MHD_Response *response);
/* What the answer to this request is, by its route: a media type. */
const char *control_request_type(const struct control_request *request);

/* control_watch.c */
void control_watch_init(struct control *control);
/* Answers the request with a stream of events. */
void control_watch_begin(struct control_request *request, const char *run, const char *last_event_id);
/* The last event for all; nothing comes after it. */
void control_watch_end(struct control *control);
void control_watch_resume(struct control *control);
void control_watch_done(struct control *control);
