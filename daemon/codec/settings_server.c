#include "codec/settings_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/yaml_get.h"
#include "model/settings.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)

#define IN_FLIGHT_MAX 1024
#define TASKS_MAX 100000
#define PIN_BASE64_LEN 44 /* of the 32 bytes of a SHA-256 */
#define PIN_PREFIX "sha256//"

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *settings_copy(struct settings_decoder *decoder, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        decoder->no_memory = true;
    return copy;
}

bool settings_text(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                   char **ret)
{
    const char *text;
    if (!yaml_get_text(mapping, key, &text, decoder->diag))
        return false;
    if (!*text || text_has_control(text)) {
        yaml_say(decoder->diag, yaml_child(mapping, key), "\"%s\" %s; write a text in one line", key,
                 *text ? "has control characters" : "is empty");
        return false;
    }
    free(*ret);
    *ret = settings_copy(decoder, text);
    return *ret != NULL;
}

void settings_number(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                     unsigned min, unsigned max, unsigned *ret)
{
    uint64_t value;
    if (yaml_get_number(mapping, key, min, max, &value, decoder->diag))
        *ret = (unsigned)value;
}

/* A mapping below `mapping` with its keys checked, or NULL when absent or bad. */
static struct yaml_node *section(struct settings_decoder *decoder, const struct yaml_node *mapping,
                                 const char *key, const char *const *keys)
{
    struct yaml_node *node;
    if (!yaml_get_mapping(mapping, key, &node, decoder->diag))
        return NULL;
    char what[64];
    snprintf(what, sizeof(what), "\"%s\"", key);
    return yaml_check_keys(node, what, keys, decoder->diag) ? node : NULL;
}

/* A file beside the main file, unless the path is absolute. */
static void read_path(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                      char **ret)
{
    _cleanup_free_ char *path = NULL;
    if (!settings_text(decoder, mapping, key, &path))
        return;
    const char *slash = strrchr(decoder->main_file, '/');
    if (path[0] == '/' || !slash) {
        *ret = TAKE_PTR(path);
        return;
    }
    int folder = (int)(slash - decoder->main_file);
    if (asprintf(ret, "%.*s/%s", folder, decoder->main_file, path) < 0) {
        *ret = NULL;
        decoder->no_memory = true;
    }
}

/* ---- url ---- */

static size_t host_len(const char *text)
{
    if (text[0] != '[')
        return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._");
    size_t len = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
    return len > 2 && text[len] == ']' ? len + 1 : 0;
}

static bool port_valid(const char *text, size_t len)
{
    unsigned port = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    return port >= 1 && port <= 65535;
}

/* What is wrong with the URL, or NULL and its length without a trailing slash. */
static const char *url_problem(const char *url, size_t *ret_len)
{
    if (strncmp(url, "https://", 8) != 0)
        return "it must begin with https://";
    const char *host = url + 8;
    const char *at = strchr(host, '@');
    if (at)
        return "a user name does not belong here; use \"username\"";
    const char *end = host + host_len(host);
    if (end == host)
        return "the host is missing or malformed";
    if (*end == ':') {
        size_t digits = strspn(end + 1, "0123456789");
        if (!port_valid(end + 1, digits))
            return "the port must be from 1 to 65535";
        end += 1 + digits;
    }
    if (*end && strcmp(end, "/") != 0)
        return "nothing may follow host and port; /api is appended by itself";
    *ret_len = (size_t)(end - url);
    return NULL;
}

static void read_url(struct settings_decoder *decoder, const struct yaml_node *node, char **ret)
{
    if (!settings_text(decoder, node, "url", ret))
        return;
    size_t len = 0;
    const char *problem = url_problem(*ret, &len);
    if (problem)
        yaml_say(decoder->diag, yaml_child(node, "url"),
                 "\"url\" is not usable: %s; write it as https://em.example.com:9398", problem);
    else
        (*ret)[len] = '\0';
}

/* ---- credentials ---- */

static void read_username(struct settings_decoder *decoder, const struct yaml_node *node, char **ret)
{
    if (settings_text(decoder, node, "username", ret) && strchr(*ret, ':'))
        yaml_say(decoder->diag, yaml_child(node, "username"),
                 "\"username\" must not contain a colon: HTTP separates the password with it; use another "
                 "account");
}

static void read_credential(struct settings_decoder *decoder, const struct yaml_node *password, char **ret)
{
    if (!settings_text(decoder, password, "credential", ret))
        return;
    if (strchr(*ret, '/') || strcmp(*ret, ".") == 0 || strcmp(*ret, "..") == 0)
        yaml_say(decoder->diag, yaml_child(password, "credential"),
                 "\"credential\" must be the name of a file in $CREDENTIALS_DIRECTORY, without a folder; for "
                 "another "
                 "place use \"file\"");
}

static void read_password(struct settings_decoder *decoder, const struct yaml_node *node,
                          struct server_settings *ret)
{
    static const char *const keys[] = {"credential", "file", NULL};
    const struct yaml_node *password = yaml_child(node, "password");
    if (password && password->kind == YAML_SCALAR) {
        yaml_say(decoder->diag, password,
                 "a password does not belong into the settings; write {credential: NAME} or {file: PATH}");
        return;
    }
    password = section(decoder, node, "password", keys);
    if (!password)
        return;
    bool credential = yaml_child(password, "credential"), file = yaml_child(password, "file");
    if (credential == file)
        yaml_say_key(decoder->diag, password,
                     "\"password\" needs exactly one of \"credential\" and \"file\"; %s",
                     file ? "remove one of them" : "write one of them");
    read_credential(decoder, password, &ret->password_credential);
    read_path(decoder, password, "file", &ret->password_file);
}

/* ---- tls ---- */

static bool pin_valid(const char *pin, size_t len)
{
    size_t prefix = strlen(PIN_PREFIX);
    if (len != prefix + PIN_BASE64_LEN || strncmp(pin, PIN_PREFIX, prefix) != 0)
        return false;
    const char *text = pin + prefix;
    if (strspn(text, BASE64) != PIN_BASE64_LEN - 1 || text[PIN_BASE64_LEN - 1] != '=')
        return false;
    /* 32 bytes leave four bits in the last character, of its six the lower two are padding */
    return (strchr(BASE64, text[PIN_BASE64_LEN - 2]) - BASE64) % 4 == 0;
}

static bool pins_valid(const char *pins)
{
    for (;;) {
        size_t len = strcspn(pins, ";");
        if (!pin_valid(pins, len))
            return false;
        if (!pins[len])
            return true;
        pins += len + 1;
    }
}

static void read_tls(struct settings_decoder *decoder, const struct yaml_node *node,
                     struct server_settings *ret)
{
    static const char *const keys[] = {"ca_file", "pin", "verify", NULL};
    const struct yaml_node *tls = section(decoder, node, "tls", keys);
    read_path(decoder, tls, "ca_file", &ret->ca_file);
    yaml_get_bool(tls, "verify", &ret->verify, decoder->diag);
    if (settings_text(decoder, tls, "pin", &ret->pin) && !pins_valid(ret->pin))
        yaml_say(decoder->diag, yaml_child(tls, "pin"),
                 "\"pin\" is not usable; write sha256// and the 44 base64 characters of the key's SHA-256, "
                 "several "
                 "separated by ; without blanks");
}

/* ---- dialect and limits ---- */

static void read_dialect(struct settings_decoder *decoder, const struct yaml_node *node,
                         struct server_settings *ret)
{
    static const char *const versions[] = {"latest", "v1_5", "v1_6", "v1_7", NULL};
    static const char *const formats[] = {"xml", "json", NULL};
    static const char *const https[] = {"1.1", "2", NULL};
    unsigned word = 0;
    yaml_get_word(node, "api_version", versions, &word, decoder->diag);
    ret->api_version = settings_copy(decoder, versions[word]);
    word = SETTINGS_FORMAT_XML;
    yaml_get_word(node, "format", formats, &word, decoder->diag);
    ret->format = word == SETTINGS_FORMAT_XML ? SETTINGS_FORMAT_XML : SETTINGS_FORMAT_JSON;
    word = 0;
    yaml_get_word(node, "http", https, &word, decoder->diag);
    ret->http2 = word == 1;
}

static void read_in_flight(struct settings_decoder *decoder, const struct yaml_node *node,
                           struct server_settings *ret)
{
    static const char *const keys[] = {"initial", "max", NULL};
    const struct yaml_node *in_flight = section(decoder, node, "in_flight", keys);
    const struct yaml_node *initial = yaml_child(in_flight, "initial");
    settings_number(decoder, in_flight, "max", 1, IN_FLIGHT_MAX, &ret->in_flight_max);
    settings_number(decoder, in_flight, "initial", 1, IN_FLIGHT_MAX, &ret->in_flight_initial);
    if (initial && ret->in_flight_initial > ret->in_flight_max)
        yaml_say(decoder->diag, initial, "\"initial\" is above \"max\" (%u); lower it, or raise \"max\"",
                 ret->in_flight_max);
    else if (ret->in_flight_initial > ret->in_flight_max)
        ret->in_flight_initial = ret->in_flight_max; /* a default bows to what was asked for */
    settings_number(decoder, node, "in_flight_per_source", 0, IN_FLIGHT_MAX, &ret->in_flight_per_source);
}

static void read_times(struct settings_decoder *decoder, const struct yaml_node *node,
                       struct server_settings *ret)
{
    static const char *const timeouts_keys[] = {"connect", "request", "unreachable", NULL};
    static const char *const session_keys[] = {"keepalive", NULL};
    struct diag *diag = decoder->diag;
    const struct yaml_node *timeouts = section(decoder, node, "timeouts", timeouts_keys);
    yaml_get_duration(timeouts, "connect", 1, 10 * MINUTE, &ret->connect_ms, diag);
    yaml_get_duration(timeouts, "request", 1, 60 * MINUTE, &ret->request_ms, diag);
    yaml_get_duration(timeouts, "unreachable", 1, 30 * DAY, &ret->unreachable_ms, diag);
    yaml_get_duration(node, "settle", 1, 30 * DAY, &ret->settle_ms, diag);
    const struct yaml_node *session = section(decoder, node, "session", session_keys);
    yaml_get_duration(session, "keepalive", 1, 14 * MINUTE, &ret->keepalive_ms, diag);
}

static void read_tasks(struct settings_decoder *decoder, const struct yaml_node *node,
                       struct server_settings *ret)
{
    static const char *const tasks_keys[] = {"max", NULL};
    static const char *const poll_keys[] = {"interval", "max", NULL};
    const struct yaml_node *tasks = section(decoder, node, "tasks", tasks_keys);
    settings_number(decoder, tasks, "max", 1, TASKS_MAX, &ret->tasks_max);
    const struct yaml_node *poll = section(decoder, node, "poll", poll_keys);
    const struct yaml_node *interval = yaml_child(poll, "interval");
    yaml_get_duration(poll, "interval", 1, 60 * MINUTE, &ret->poll_interval_ms, decoder->diag);
    yaml_get_duration(poll, "max", 1, 60 * MINUTE, &ret->poll_max_ms, decoder->diag);
    if (interval && ret->poll_interval_ms > ret->poll_max_ms)
        yaml_say(decoder->diag, interval, "\"interval\" is above \"max\"; lower it, or raise \"max\"");
    else if (ret->poll_interval_ms > ret->poll_max_ms)
        ret->poll_interval_ms = ret->poll_max_ms;
}

static void say_missing(struct settings_decoder *decoder, const struct yaml_node *node)
{
    static const struct {
        const char *key, *example;
    } needed[] = {{"url", "https://em.example.com:9398"},
                  {"username", "'DOMAIN\\account'"},
                  {"password", "{credential: NAME} or {file: PATH}"}};
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (!yaml_child(node, needed[i].key))
            yaml_say_key(decoder->diag, node, "server \"%s\" has no \"%s\"; add %s: %s", node->key,
                         needed[i].key, needed[i].key, needed[i].example);
}

static const struct server_settings defaults = {
    .verify = true,
    .in_flight_initial = 8,
    .in_flight_max = 64,
    .connect_ms = 10 * SECOND,
    .request_ms = MINUTE,
    .unreachable_ms = 5 * MINUTE,
    .tasks_max = 200,
    .poll_interval_ms = 100,
    .poll_max_ms = 10 * SECOND,
    .settle_ms = 20 * MINUTE,
    .keepalive_ms = 5 * MINUTE,
};

void settings_server_decode(struct settings_decoder *decoder, const struct yaml_node *node,
                            struct server_settings *ret)
{
    static const char *const keys[] = {"url",       "username", "password",
                                       "tls",       "format",   "api_version",
                                       "in_flight", "timeouts", "in_flight_per_source",
                                       "tasks",     "poll",     "settle",
                                       "session",   "http",     NULL};
    *ret = defaults;
    ret->line = node->key_line;
    ret->name = settings_copy(decoder, node->key);
    if (!*node->key || text_has_control(node->key))
        yaml_say_key(decoder->diag, node, "a server needs a name in one line; write one");
    if (!yaml_check_keys(node, "a server", keys, decoder->diag))
        return;
    say_missing(decoder, node);
    read_url(decoder, node, &ret->url);
    read_username(decoder, node, &ret->username);
    read_password(decoder, node, ret);
    read_tls(decoder, node, ret);
    read_dialect(decoder, node, ret);
    read_in_flight(decoder, node, ret);
    read_times(decoder, node, ret);
    read_tasks(decoder, node, ret);
}
