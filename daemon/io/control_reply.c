/* Answers to requests on the control socket. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/control_json.h"
#include "io/control_parts.h"

#define MESSAGE_BYTES ((size_t)512 * 1024)

void control_answer(struct control_request *r, unsigned status, struct MHD_Response *response)
{
    if (!r->control) { /* nobody waits any more */
        if (response)
            MHD_destroy_response(response);
        free(r->text);
        free(r);
        return;
    }
    if (!response) {
        static char text[] = "{\"code\":\"internal\",\"message\":\"out of memory; try again\"}\n";
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        response = MHD_create_response_from_buffer(sizeof(text) - 1, text, MHD_RESPMEM_PERSISTENT);
    }
    r->status = status;
    r->response = response;
    if (r->suspended) {
        r->suspended = false;
        control_resume(r->control, r->client);
    }
}

static void answer_text(struct control_request *r, unsigned status, struct buf *text, int error)
{
    struct MHD_Response *response = NULL;
    if (error == 0)
        error = buf_add_char(text, '\n');
    size_t len = text->len;
    char *data = error == 0 ? buf_take(text) : NULL;
    buf_done(text);
    if (data)
        response = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
    if (data && !response)
        free(data);
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    control_answer(r, status, response);
}

/* An answer lies in memory until its client has taken it, and there may be a thousand of them: true when
 * there is room for one more of this size, else the request is answered. */
static bool answer_room(struct control_request *r, size_t size)
{
    if (!r->control)
        return true; /* it goes nowhere */
    size_t all = r->control->options.answer_bytes ? r->control->options.answer_bytes : CONTROL_ANSWER_MAX;
    size_t others = r->control->answer_bytes;
    if (others > 0 && (size > all || others > all - size)) {
        control_reply_error(r, CONTROL_E_BUSY, "other large answers are being taken; try again soon");
        return false;
    }
    r->held = size;
    r->control->answer_bytes += size;
    return true;
}

void control_reply_status(struct control_request *r, const struct control_status *status)
{
    struct buf text = BUF_INIT(CONTROL_ANSWER_MAX);
    answer_text(r, MHD_HTTP_OK, &text, control_json_status(&text, status));
}

void control_reply_run(struct control_request *r, const struct control_run *run)
{
    struct buf text = BUF_INIT(CONTROL_ANSWER_MAX);
    answer_text(r, r->makes_run ? MHD_HTTP_CREATED : MHD_HTTP_OK, &text, control_json_run(&text, run));
}

void control_reply_runs(struct control_request *r, const struct control_run *runs, size_t n)
{
    struct buf text = BUF_INIT(CONTROL_ANSWER_MAX);
    bool more = n > r->limit;
    answer_text(r, MHD_HTTP_OK, &text, control_json_runs(&text, runs, more ? r->limit : n, more));
}

void control_reply_schedules(struct control_request *r, const struct control_schedule *schedules, size_t n)
{
    struct buf text = BUF_INIT(CONTROL_ANSWER_MAX);
    answer_text(r, MHD_HTTP_OK, &text, control_json_schedules(&text, schedules, n));
}

void control_reply_preview(struct control_request *r, const struct control_preview *preview)
{
    struct buf text = BUF_INIT(CONTROL_ANSWER_MAX);
    int e = control_json_preview(&text, preview);
    if (e == 0 && !answer_room(r, text.len))
        buf_done(&text);
    else
        answer_text(r, MHD_HTTP_OK, &text, e);
}

void control_reply_fd(struct control_request *r, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        control_reply_error(r, CONTROL_E_INTERNAL, "the result cannot be read; look at the daemon's log");
        return;
    }
    if (!answer_room(r, (size_t)st.st_size)) {
        close(fd);
        return;
    }
    struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, control_request_type(r));
    else
        close(fd);
    control_answer(r, MHD_HTTP_OK, response);
}

/* ---- errors ---- */

static const struct {
    unsigned status;
    const char *code;
} errors[CONTROL_E_COUNT] = {
    [CONTROL_E_BAD_REQUEST] = {400, "bad_request"},
    [CONTROL_E_NOT_FOUND] = {404, "not_found"},
    [CONTROL_E_METHOD] = {405, "method_not_allowed"},
    [CONTROL_E_AMBIGUOUS] = {409, "ambiguous"},
    [CONTROL_E_STATE] = {409, "wrong_state"},
    [CONTROL_E_LENGTH] = {411, "length_required"},
    [CONTROL_E_TOO_LARGE] = {413, "too_large"},
    [CONTROL_E_INVALID_PLAN] = {422, "invalid_plan"},
    [CONTROL_E_INTERNAL] = {500, "internal"},
    [CONTROL_E_SERVER] = {502, "server_unreachable"},
    [CONTROL_E_CREDENTIALS] = {502, "credentials_refused"},
    [CONTROL_E_TLS] = {502, "tls_refused"},
    [CONTROL_E_BUSY] = {503, "busy"},
    [CONTROL_E_STOPPING] = {503, "stopping"},
    [CONTROL_E_NOT_STORED] = {507, "not_stored"},
};

void control_reply_error(struct control_request *r, enum control_error error, const char *format, ...)
{
    struct buf message = BUF_INIT(MESSAGE_BYTES), text = BUF_INIT(CONTROL_ANSWER_MAX);
    va_list args;
    va_start(args, format);
    int e = buf_vprintf(&message, format, args);
    va_end(args);
    if (e == -ENOBUFS)
        e = buf_add_str(&message, "the message is too long to be shown");
    if (e == 0)
        e = control_json_error(&text, errors[error].code, buf_str(&message));
    buf_done(&message);
    bool waited_for = r->control != NULL;
    answer_text(r, errors[error].status, &text, e);
    if (waited_for && errors[error].status == MHD_HTTP_SERVICE_UNAVAILABLE && r->response)
        MHD_add_response_header(r->response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

bool control_reply_unless_found(struct control_request *r, const struct control_find *find)
{
    if (find->n == 1)
        return true;
    if (find->n == 0)
        control_reply_error(r, CONTROL_E_NOT_FOUND,
                            "there is no run with \"%s\" in its id; see jobclonectl list", find->part);
    else
        control_reply_error(r, CONTROL_E_AMBIGUOUS,
                            "%zu runs have \"%s\" in their ids (%s, %s%s%s%s); give more of it", find->n,
                            find->part, find->found[0], find->found[1], find->n > 2 ? ", " : "",
                            find->n > 2 ? find->found[2] : "", find->n > 3 ? ", ..." : "");
    return false;
}
