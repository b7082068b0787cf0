#include "ctl/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"

#define ANSWER_MAX ((size_t)512 * 1024 * 1024)
#define ERROR_MAX ((size_t)1024 * 1024)
#define CONNECT_S 10L
#define ANSWER_S 900L /* a preview asks the server for all its jobs */
#define BUSY_TRIES 10
#define BUSY_WAIT_MS 500

/* One exchange under way. */
struct exchange {
    CURL *curl;
    const struct client_sink *sink;
    struct buf error; /* the body of an answer that is no 2xx */
    int sink_error;
};

static void say_no_socket(const struct ctl *ctl, int error)
{
    if (error == EACCES || error == EPERM)
        command_say("%s: permission denied; only root and members of group jobclone may use it: usermod -aG "
                    "jobclone USER, then log in anew",
                    ctl->socket);
    else if (error == ENOENT)
        command_say("there is no control socket %s; is the daemon running? See: systemctl status jobcloned "
                    "(another socket: --socket PATH)",
                    ctl->socket);
    else if (error == EAGAIN)
        command_say("%s: the daemon is too busy to take the connection; try again soon", ctl->socket);
    else
        command_say("nobody answers on the control socket %s (%s); see: systemctl status jobcloned",
                    ctl->socket, strerror(error ? error : ECONNREFUSED));
}

int client_say_failed(const struct ctl *ctl, CURL *curl, CURLcode code, bool command)
{
    long error = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_COULDNT_CONNECT)
        say_no_socket(ctl, (int)error);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        command_say("the daemon behind %s does not answer; see: systemctl status jobcloned", ctl->socket);
    else if (code == CURLE_OUT_OF_MEMORY)
        command_say("out of memory");
    else if (strlen(ctl->socket) >= 108)
        command_say("the path of the control socket is too long: %s", ctl->socket);
    else
        command_say("the daemon behind %s went away before it had answered (%s)%s", ctl->socket,
                    curl_easy_strerror(code),
                    command ? "; whether it did what was asked is not known: see jobclonectl list" : "");
    return CTL_UNREACHABLE;
}

static void say_lines(const char *text)
{
    _cleanup_free_ char *copy = strdup(text);
    for (char *rest = copy, *line; (line = strsep(&rest, "\n"));)
        if (*line) {
            _cleanup_(buf_done) struct buf shown = BUF_INIT(ERROR_MAX * 4);
            text_escape(&shown, line);
            fprintf(stderr, "%s\n", buf_str(&shown));
        }
}

int client_say_refused(const struct ctl *ctl, long status, const struct buf *body)
{
    json_t *json = json_loadb(body->data ? body->data : "", body->len, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    if (!message)
        command_say("%s answered with HTTP %ld and no explanation; is this jobcloned's control socket?",
                    ctl->socket, status);
    else if (status == 422)
        say_lines(message); /* FILE:LINE:COLUMN: text, as check has it */
    else if (status == 403)
        command_say("%s: %s: usermod -aG jobclone USER, then log in anew", ctl->socket, message);
    else
        command_say("%s", message);
    json_decref(json);
    return message && status < 500 && status != 403 ? CTL_INVALID : CTL_UNREACHABLE;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct exchange *e = user;
    long status = 0;
    (void)size; /* 1 */
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2)
        e->sink_error = e->sink->write(data, n, e->sink->user);
    else
        e->sink_error = buf_add(&e->error, data, n);
    return e->sink_error < 0 ? 0 : n;
}

CURL *client_handle(const struct ctl *ctl, const char *path)
{
    CURL *curl = curl_easy_init();
    _cleanup_free_ char *url = NULL;
    if (!curl || asprintf(&url, "http://jobclone%s", path) < 0) {
        curl_easy_cleanup(curl);
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    return curl;
}

static CURLcode perform(struct exchange *e, const char *method, const struct buf *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *all = headers ? curl_slist_append(headers, "Expect:") : NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    curl_easy_setopt(e->curl, CURLOPT_TIMEOUT, ANSWER_S);
    curl_easy_setopt(e->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e->curl, CURLOPT_WRITEDATA, e);
    if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(e->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(e->curl, CURLOPT_POSTFIELDS, body ? buf_str(body) : "");
        curl_easy_setopt(e->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body ? body->len : 0));
        curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, headers);
    }
    if (all)
        code = curl_easy_perform(e->curl);
    curl_slist_free_all(headers);
    return code;
}

static void wait_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* One try; *ret_busy when the daemon asks for another. */
static int ask_once(const struct ctl *ctl, const char *method, const char *path, const struct buf *body,
                    const struct client_sink *sink, bool last, bool *ret_busy)
{
    struct exchange e = {.curl = client_handle(ctl, path), .sink = sink, .error = BUF_INIT(ERROR_MAX)};
    long status = 0;
    int r = CTL_OK;
    *ret_busy = false;
    if (!e.curl) {
        command_say("out of memory");
        return CTL_UNREACHABLE;
    }
    CURLcode code = perform(&e, method, body);
    curl_easy_getinfo(e.curl, CURLINFO_RESPONSE_CODE, &status);
    *ret_busy = status == 503 && !last && strstr(buf_str(&e.error), "\"busy\"");
    if (e.sink_error < 0) {
        command_say("the answer cannot be taken: %s", strerror(-e.sink_error));
        r = CTL_UNREACHABLE;
    } else if (status >= 300 && !*ret_busy && e.error.len > 0) { /* even if the rest was lost */
        r = client_say_refused(ctl, status, &e.error);
    } else if (code != CURLE_OK && !*ret_busy) {
        r = client_say_failed(ctl, e.curl, code, strcmp(method, "POST") == 0);
    } else if (status >= 300 && !*ret_busy) {
        r = client_say_refused(ctl, status, &e.error);
    }
    buf_done(&e.error);
    curl_easy_cleanup(e.curl);
    return r;
}

int client_stream(const struct ctl *ctl, const char *method, const char *path, const struct buf *body,
                  const struct client_sink *sink)
{
    bool busy = true;
    int r = CTL_OK;
    for (int i = 1; busy; i++) {
        r = ask_once(ctl, method, path, body, sink, i == BUSY_TRIES, &busy);
        if (busy)
            wait_ms(BUSY_WAIT_MS);
    }
    return r;
}

static int to_buf(const char *data, size_t len, void *user)
{
    return buf_add(user, data, len);
}

static int ask(const struct ctl *ctl, const char *method, const char *path, const struct buf *body,
               bool print, json_t **ret)
{
    _cleanup_(buf_done) struct buf answer = BUF_INIT(ANSWER_MAX);
    const struct client_sink sink = {to_buf, &answer};
    if (ret)
        *ret = NULL;
    int r = client_stream(ctl, method, path, body, &sink);
    if (r != CTL_OK)
        return r;
    json_t *json = json_loadb(answer.data ? answer.data : "", answer.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        command_say(
            "the answer of %s is not understood; is this jobcloned's control socket, of this version?",
            ctl->socket);
        return CTL_UNREACHABLE;
    }
    if (print)
        fwrite(answer.data, 1, answer.len, stdout);
    if (ret)
        *ret = json;
    else
        json_decref(json);
    return CTL_OK;
}

int client_ask(const struct ctl *ctl, const char *method, const char *path, const struct buf *body,
               json_t **ret)
{
    return ask(ctl, method, path, body, ctl->json, ret);
}

int client_get(const struct ctl *ctl, const char *path, json_t **ret)
{
    return ask(ctl, "GET", path, NULL, false, ret);
}

char *client_path(const char *head, const char *word, const char *tail)
{
    char *escaped = curl_easy_escape(NULL, word, 0), *path = NULL;
    if (!escaped || asprintf(&path, "%s%s%s", head, escaped, tail) < 0) {
        command_say("out of memory");
        path = NULL;
    }
    curl_free(escaped);
    return path;
}
