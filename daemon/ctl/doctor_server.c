/* One server as the daemon would meet it: name, certificate, versions, clock,
 * logon, role. Credentials are sent once, and only after the certificate was accepted; the session is ended
 * again. */
#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ctl/doctor.h"
#include "io/http_curl.h"
#include "io/http_tls.h"
#include "io/settings_files.h"
#include "io/tls_pin.h"
#include "model/settings.h"

#define BODY_BYTES ((size_t)4 * 1024 * 1024)
#define TOKEN_BYTES 4096
#define CLOCK_OFF_S 60
#define EXPIRES_SOON_S (30L * 24 * 3600)

/* One request and what came back. */
struct look {
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    char error[CURL_ERROR_SIZE];
    char token[TOKEN_BYTES]; /* X-RestSvcSessionId */
    time_t date;             /* of the answer, or -1 */
    CURLcode code;
    long status;
};

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    (void)size; /* 1 */
    return buf_add(&((struct look *)user)->body, data, n) == 0 ? n : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    static const char token[] = "X-RestSvcSessionId:", date[] = "Date:";
    struct look *look = user;
    char line[TOKEN_BYTES];
    (void)size; /* 1 */
    snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : 0), data);
    line[strcspn(line, "\r\n")] = '\0';
    if (strncasecmp(line, token, strlen(token)) == 0)
        snprintf(look->token, sizeof(look->token), "%s",
                 line + strlen(token) + strspn(line + strlen(token), " \t"));
    else if (strncasecmp(line, date, strlen(date)) == 0)
        look->date = curl_getdate(line + strlen(date), NULL);
    explicit_bzero(line, sizeof(line));
    return n;
}

static void look_begin(struct look *look, const struct server_settings *server, const char *path)
{
    _cleanup_free_ char *url = NULL;
    *look = (struct look){.easy = curl_easy_init(), .body = BUF_INIT(BODY_BYTES), .date = -1};
    look->headers = curl_slist_append(NULL, "Accept: application/xml");
    if (!look->easy || !look->headers || asprintf(&url, "%s%s", server->url, path) < 0)
        return; /* look_end then finds out of memory */
    curl_easy_setopt(look->easy, CURLOPT_URL, url);
    curl_easy_setopt(look->easy, CURLOPT_ERRORBUFFER, look->error);
    curl_easy_setopt(look->easy, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(look->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(look->easy, CURLOPT_WRITEDATA, look);
    curl_easy_setopt(look->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(look->easy, CURLOPT_HEADERDATA, look);
    http_set_server(look->easy, server);
}

static void look_perform(struct look *look)
{
    look->code = CURLE_OUT_OF_MEMORY;
    if (look->easy && look->headers) {
        curl_easy_setopt(look->easy, CURLOPT_HTTPHEADER, look->headers);
        look->code = curl_easy_perform(look->easy);
        curl_easy_getinfo(look->easy, CURLINFO_RESPONSE_CODE, &look->status);
    }
    if (look->code != CURLE_OK && !look->error[0])
        snprintf(look->error, sizeof(look->error), "%s", curl_easy_strerror(look->code));
}

static void look_end(struct look *look)
{
    explicit_bzero(look->token, sizeof(look->token));
    for (struct curl_slist *line = look->headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(look->headers);
    curl_easy_cleanup(look->easy);
    buf_done(&look->body);
}

static void look_with_token(struct look *look, const char *token)
{
    char line[TOKEN_BYTES + 64];
    snprintf(line, sizeof(line), "X-RestSvcSessionId: %s", token);
    look->headers = curl_slist_append(look->headers, line);
    explicit_bzero(line, sizeof(line));
}

/* ---- name ---- */

static bool check_name(struct doctor *doctor, const struct server_settings *server)
{
    CURLU *url = curl_url();
    char *host = NULL, address[NI_MAXHOST] = "";
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    if (url && curl_url_set(url, CURLUPART_URL, server->url, 0) == CURLUE_OK)
        curl_url_get(url, CURLUPART_HOST, &host, 0);
    size_t len = host ? strlen(host) : 0;
    if (len > 2 && host[0] == '[') { /* an IPv6 address */
        memmove(host, host + 1, len - 2);
        host[len - 2] = '\0';
    }
    int r = getaddrinfo(host ? host : "", NULL, &hints, &found);
    if (r == 0)
        getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
    if (r == 0)
        doctor_note(doctor, FINDING_OK, 0, "name", "%s: %s is %s", server->name, host, address);
    else
        doctor_note(doctor, FINDING_FAIL, CTL_UNREACHABLE, "name",
                    "%s: %s: %s; check url, and the name servers in /etc/resolv.conf", server->name,
                    host ? host : server->url, gai_strerror(r));
    if (r == 0)
        freeaddrinfo(found);
    curl_free(host);
    curl_url_cleanup(url);
    return r == 0;
}

/* ---- certificate ---- */

/* The value of a field of the server's own certificate, or NULL. */
static const char *certificate_field(struct look *look, const char *field)
{
    struct curl_certinfo *info = NULL;
    size_t len = strlen(field);
    if (curl_easy_getinfo(look->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
        info->num_of_certs < 1)
        return NULL;
    for (struct curl_slist *line = info->certinfo[0]; line; line = line->next)
        if (strncmp(line->data, field, len) == 0 && line->data[len] == ':')
            return line->data + len + 1;
    return NULL;
}

static void pin_of(struct look *look, char ret[TLS_PIN_LEN + 1])
{
    const char *pem = certificate_field(look, "Cert");
    if (!pem || tls_pin_of_pem(pem, ret) < 0)
        snprintf(ret, TLS_PIN_LEN + 1, "not known");
}

/* A second look at a certificate that was refused, without credentials, for its key. */
static void refused_pin(const struct server_settings *server, char ret[TLS_PIN_LEN + 1])
{
    struct server_settings open = *server;
    struct look look;
    open.verify = false;
    open.ca_file = open.pin = NULL;
    look_begin(&look, &open, "/api/");
    if (look.easy)
        curl_easy_setopt(look.easy, CURLOPT_CONNECT_ONLY, 1L);
    look_perform(&look);
    pin_of(&look, ret);
    look_end(&look);
}

static void note_refused(struct doctor *doctor, const struct server_settings *server, const struct look *look)
{
    char pin[TLS_PIN_LEN + 1];
    const char *advice = http_tls_advice(look->error);
    refused_pin(server, pin);
    doctor_note(
        doctor, FINDING_FAIL, CTL_UNREACHABLE, "tls",
        "%s: %s%s%s; no credentials were sent. The key that answers is %s: make sure on the server that it "
        "is genuine before you trust it",
        server->name, look->error, *advice ? "; " : "", advice, pin);
}

static void note_certificate(struct doctor *doctor, const struct server_settings *server, struct look *look)
{
    char pin[TLS_PIN_LEN + 1], until[64] = "?";
    const char *expires = certificate_field(look, "Expire date");
    time_t end = expires ? curl_getdate(expires, NULL) : -1;
    struct tm tm;
    pin_of(look, pin);
    if (end >= 0 && localtime_r(&end, &tm))
        strftime(until, sizeof(until), "%F", &tm);
    if (!server->verify && !server->pin)
        doctor_note(
            doctor, FINDING_WARN, 0, "tls",
            "%s: the certificate is not checked (verify: false): anybody can take the server's place; set "
            "tls.pin: %s",
            server->name, pin);
    else if (end >= 0 && end - time(NULL) < EXPIRES_SOON_S)
        doctor_note(doctor, FINDING_WARN, 0, "tls", "%s: the certificate ends on %s; renew it; key %s",
                    server->name, until, pin);
    else
        doctor_note(doctor, FINDING_OK, 0, "tls", "%s: the certificate is good until %s, key %s",
                    server->name, until, pin);
    if (server->pin)
        doctor_note(doctor, FINDING_OK, 0, "pin", "%s: the key is that of tls.pin", server->name);
}

/* ---- what the API says before a logon ---- */

static void check_versions(struct doctor *doctor, const struct server_settings *server, const char *body)
{
    _cleanup_(buf_done) struct buf names = BUF_INIT(BODY_BYTES);
    bool there = strcmp(server->api_version, "latest") == 0;
    static const char mark[] = "<SupportedVersion ";
    for (const char *at = body; (at = strstr(at, mark)); at += strlen(mark)) {
        char name[32];
        const char *attribute = strstr(at, "Name=\"");
        if (!attribute || sscanf(attribute, "Name=\"%31[A-Za-z0-9_.]", name) != 1)
            continue;
        there |= strcmp(name, server->api_version) == 0;
        buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", name);
    }
    if (there)
        doctor_note(doctor, FINDING_OK, 0, "version", "%s: api_version %s; the server has %s", server->name,
                    server->api_version, buf_str(&names));
    else
        doctor_note(doctor, FINDING_FAIL, CTL_INVALID, "version",
                    "%s: api_version %s is not among those that the server has (%s); use latest",
                    server->name, server->api_version, buf_str(&names));
}

static void check_its_clock(struct doctor *doctor, const struct server_settings *server, time_t date)
{
    double off = date >= 0 ? difftime(date, time(NULL)) : 0;
    if (date < 0)
        return;
    if (off > CLOCK_OFF_S || off < -CLOCK_OFF_S)
        doctor_note(doctor, FINDING_WARN, 0, "clock",
                    "%s: the server's clock is %.0f s %s this machine's; set the one that is wrong",
                    server->name, off > 0 ? off : -off, off > 0 ? "ahead of" : "behind");
    else
        doctor_note(doctor, FINDING_OK, 0, "clock", "%s: the server's is the same as this machine's",
                    server->name);
}

/* True when it is the API, over a connection that may be trusted with credentials. */
static bool check_api(struct doctor *doctor, const struct server_settings *server)
{
    struct look look;
    bool good = false;
    look_begin(&look, server, "/api/");
    look_perform(&look);
    if (look.code == CURLE_OK)
        note_certificate(doctor, server, &look);
    if (http_tls_refused(look.code, look.error)) {
        note_refused(doctor, server, &look);
    } else if (look.code != CURLE_OK) {
        const char *advice = http_tls_advice(look.error);
        doctor_note(doctor, FINDING_FAIL, CTL_UNREACHABLE, "connect", "%s: %s; %s", server->name, look.error,
                    *advice
                        ? advice
                        : "check url, port and firewalls, and that the service of Enterprise Manager runs");
    } else if (look.status != 200 || !strstr(buf_str(&look.body), "EnterpriseManager")) {
        doctor_note(doctor, FINDING_FAIL, CTL_UNREACHABLE, "api",
                    "%s: what answers (HTTP %ld) is not Enterprise Manager's API; check host and port in url "
                    "(9398 by default)",
                    server->name, look.status);
    } else {
        check_versions(doctor, server, buf_str(&look.body));
        check_its_clock(doctor, server, look.date);
        good = true;
    }
    look_end(&look);
    return good;
}

/* ---- with credentials ---- */

static void check_role(struct doctor *doctor, const struct server_settings *server, const char *token)
{
    struct look look;
    look_begin(&look, server, "/api/query?type=Job&pageSize=1&page=1");
    look_with_token(&look, token);
    look_perform(&look);
    if (look.code == CURLE_OK && look.status == 200)
        doctor_note(doctor, FINDING_OK, 0, "role", "%s: %s may see and clone jobs", server->name,
                    server->username);
    else if (look.code == CURLE_OK && look.status == 403)
        doctor_note(doctor, FINDING_FAIL, CTL_UNREACHABLE, "role",
                    "%s: %s may not see jobs; give it the role Portal Administrator in Enterprise Manager",
                    server->name, server->username);
    else if (look.code == CURLE_OK)
        doctor_note(doctor, FINDING_WARN, 0, "role",
                    "%s: asking for jobs gave HTTP %ld; look at the server's log", server->name, look.status);
    else
        doctor_note(doctor, FINDING_WARN, 0, "role", "%s: %s", server->name, look.error);
    look_end(&look);
}

static void log_off(const struct server_settings *server, const char *body, const char *token)
{
    char id[64], path[128];
    const char *at = strstr(body, "<SessionId>");
    struct look look;
    if (!at || sscanf(at, "<SessionId>%63[0-9A-Fa-f-]", id) != 1)
        return; /* it ends by itself after 15 idle minutes */
    snprintf(path, sizeof(path), "/api/logonSessions/%s", id);
    look_begin(&look, server, path);
    look_with_token(&look, token);
    if (look.easy)
        curl_easy_setopt(look.easy, CURLOPT_CUSTOMREQUEST, "DELETE");
    look_perform(&look);
    look_end(&look);
}

static void log_on(struct doctor *doctor, const struct server_settings *server, const char *password)
{
    struct look look;
    char path[128];
    snprintf(path, sizeof(path), "/api/sessionMngr/?v=%s", server->api_version);
    look_begin(&look, server, path);
    if (look.easy) {
        curl_easy_setopt(look.easy, CURLOPT_POST, 1L);
        curl_easy_setopt(look.easy, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(look.easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(look.easy, CURLOPT_USERNAME, server->username);
        curl_easy_setopt(look.easy, CURLOPT_PASSWORD, password);
    }
    look_perform(&look);
    if (look.code == CURLE_OK && look.status == 201 && look.token[0]) {
        doctor_note(doctor, FINDING_OK, 0, "logon", "%s: as %s", server->name, server->username);
        check_role(doctor, server, look.token);
        log_off(server, buf_str(&look.body), look.token);
    } else if (look.code == CURLE_OK && look.status == 401) {
        doctor_note(
            doctor, FINDING_FAIL, CTL_UNREACHABLE, "logon",
            "%s: %s is refused; check user name (DOMAIN\\user) and password, and that the account has a role "
            "in Enterprise Manager. It was tried once only",
            server->name, server->username);
    } else {
        doctor_note(doctor, FINDING_FAIL, CTL_UNREACHABLE, "logon",
                    "%s: %s (HTTP %ld); look at the server's log", server->name,
                    look.code == CURLE_OK ? "no session was opened" : look.error, look.status);
    }
    look_end(&look);
}

static void check_logon(struct doctor *doctor, const struct server_settings *server)
{
    _cleanup_(buf_done) struct buf error = BUF_INIT(BODY_BYTES);
    char *password = NULL;
    if (server->password_credential && !getenv("CREDENTIALS_DIRECTORY")) {
        doctor_note(doctor, FINDING_WARN, 0, "logon",
                    "%s: not tried: the credential %s is there for the service alone; run this with "
                    "systemd-run --pipe "
                    "--wait -p LoadCredential=%s:FILE jobclonectl doctor",
                    server->name, server->password_credential, server->password_credential);
        return;
    }
    if (settings_password(server, &password, &error) < 0) {
        doctor_note(doctor, FINDING_FAIL, CTL_INVALID, "password", "%s: %s", server->name, buf_str(&error));
        return;
    }
    log_on(doctor, server, password);
    explicit_bzero(password, strlen(password));
    free(password);
}

void doctor_server(struct doctor *doctor, const struct server_settings *server)
{
    _cleanup_(buf_done) struct buf problem = BUF_INIT(4096);
    int r = http_curl_problem(server, &problem);
    if (r < 0)
        doctor_note(doctor, FINDING_FAIL, CTL_INVALID, "settings", "%s: %s", server->name,
                    problem.len > 0 ? buf_str(&problem) : strerror(-r));
    else if (check_name(doctor, server) && check_api(doctor, server))
        check_logon(doctor, server);
}
