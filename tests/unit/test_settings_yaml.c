/* Settings: the defaults of the contract, drop-ins, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "codec/settings_yaml.h"
#include "model/settings.h"

#define SERVER_REST "username: u, password: {credential: c}"
#define MINIMAL "version: 1\nservers: {prod: {url: https://em, " SERVER_REST "}}\n"
#define WITH(more) "version: 1\nservers: {prod: {url: https://em, " SERVER_REST ", " more "}}\n"
#define PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static int decode(const char *main_text, const char *drop_in, struct settings **ret, struct diag *diag)
{
    struct settings_source sources[] = {
        {"/etc/j/main.yaml", {main_text, strlen(main_text)}},
        {"/etc/j/main.yaml.d/10.yaml", {drop_in ? drop_in : "", drop_in ? strlen(drop_in) : 0}}};
    return settings_yaml_decode(sources, drop_in ? 2 : 1, ret, diag);
}

static struct settings *reads_both(const char *main_text, const char *drop_in)
{
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    int r = decode(main_text, drop_in, &settings, &diag);
    assert_string_equal(buf_str(&diag.text), "");
    assert_int_equal(r, 0);
    diag_done(&diag);
    return settings;
}

static struct settings *reads(const char *text)
{
    return reads_both(text, NULL);
}

static void refuses_both(const char *main_text, const char *drop_in, const char *messages)
{
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    int r = decode(main_text, drop_in, &settings, &diag);
    assert_int_equal(r, -EINVAL);
    assert_null(settings);
    assert_string_equal(buf_str(&diag.text), messages);
    diag_done(&diag);
}

/* Refused with exactly one message, which has this part. */
static void refuses(const char *text, const char *part)
{
    struct diag diag = DIAG_INIT;
    struct settings *settings = NULL;
    assert_int_equal(decode(text, NULL, &settings, &diag), -EINVAL);
    if (diag.count != 1 || !strstr(buf_str(&diag.text), part))
        fail_msg("not just \"%s\": %s", part, buf_str(&diag.text));
    diag_done(&diag);
}

static void defaults_are_those_of_the_contract(void **state)
{
    (void)state;
    struct settings *s = reads(MINIMAL);
    assert_int_equal(s->n_servers, 1);
    const struct server_settings *p = settings_server(s, "prod");
    assert_string_equal(p->url, "https://em");
    assert_string_equal(p->username, "u");
    assert_string_equal(p->password_credential, "c");
    assert_null(p->password_file);
    assert_null(p->ca_file);
    assert_null(p->pin);
    assert_true(p->verify);
    assert_string_equal(p->api_version, "latest");
    assert_int_equal(p->format, SETTINGS_FORMAT_XML);
    assert_false(p->http2);
    assert_int_equal(p->in_flight_initial, 8);
    assert_int_equal(p->in_flight_max, 64);
    assert_int_equal(p->in_flight_per_source, 0);
    assert_int_equal(p->connect_ms, 10000);
    assert_int_equal(p->request_ms, 60000);
    assert_int_equal(p->unreachable_ms, 300000);
    assert_int_equal(p->tasks_max, 200);
    assert_int_equal(p->poll_interval_ms, 100);
    assert_int_equal(p->poll_max_ms, 10000);
    assert_int_equal(p->settle_ms, 1200000);
    assert_int_equal(p->keepalive_ms, 300000);
    assert_int_equal(p->line, 2);
    assert_string_equal(s->spool_directory, "/var/lib/jobclone/spool");
    assert_false(s->allow_given);
    assert_string_equal(s->plans_directory, "/etc/jobclone/plans.d");
    assert_string_equal(s->state_directory, "/var/lib/jobclone");
    assert_false(s->state_given);
    assert_int_equal(s->keep_ms, UINT64_C(90) * 86400000);
    assert_string_equal(s->control_socket, "/run/jobclone/control.sock");
    assert_int_equal(s->runs_max, 4);
    assert_int_equal(s->plan_bytes, 16777216);
    assert_int_equal(s->plan_items, 200000);
    settings_free(s);
}

static void every_value_can_be_set(void **state)
{
    (void)state;
    struct settings *s =
        reads("version: 1\nservers:\n  lab:\n    url: https://[::1]:9398/\n    username: 'A\\b'\n"
              "    password: {file: lab.password}\n    tls: {ca_file: /ca.pem, pin: " PIN ";" PIN
              ", verify: false}\n"
              "    api_version: v1_7\n    format: json\n    http: 2\n    in_flight: {initial: 2, max: 3}\n"
              "    in_flight_per_source: 1\n    timeouts: {connect: 1s, request: 2s, unreachable: 3s}\n"
              "    tasks: {max: 5}\n    poll: {interval: 6ms, max: 7ms}\n    settle: 8s\n"
              "    session: {keepalive: 14m}\nstate: {directory: /s, keep: 1d}\nplans: {directory: /p}\n"
              "control: {socket: /c}\nlimits: {runs: 1, plan_bytes: 2, plan_items: 3}\n"
              "spool:\n  directory: /sp\n  allow:\n    - {user: alice, servers: [lab], sources: [T B], "
              "items: 500}\n"
              "    - {group: ops}\n");
    const struct server_settings *p = &s->servers[0];
    assert_string_equal(p->name, "lab");
    assert_string_equal(p->url, "https://[::1]:9398");
    assert_string_equal(p->password_file, "/etc/j/lab.password");
    assert_string_equal(p->ca_file, "/ca.pem");
    assert_string_equal(p->pin, PIN ";" PIN);
    assert_false(p->verify);
    assert_string_equal(p->api_version, "v1_7");
    assert_int_equal(p->format, SETTINGS_FORMAT_JSON);
    assert_true(p->http2);
    assert_int_equal(p->in_flight_initial * 10 + p->in_flight_max, 23);
    assert_int_equal(p->in_flight_per_source, 1);
    assert_int_equal(p->connect_ms + p->request_ms + p->unreachable_ms, 6000);
    assert_int_equal(p->tasks_max, 5);
    assert_int_equal(p->poll_interval_ms * 10 + p->poll_max_ms, 67);
    assert_int_equal(p->settle_ms, 8000);
    assert_int_equal(p->keepalive_ms, 840000);
    assert_true(s->state_given);
    assert_int_equal(s->runs_max * 100 + s->plan_bytes * 10 + s->plan_items, 123);
    assert_true(s->allow_given);
    assert_int_equal(s->n_allow, 2);
    assert_string_equal(s->allow[0].user, "alice");
    assert_string_equal(s->allow[0].servers[0], "lab");
    assert_null(s->allow[0].servers[1]);
    assert_string_equal(s->allow[0].sources[0], "T B");
    assert_int_equal(s->allow[0].items, 500);
    assert_string_equal(s->allow[1].group, "ops");
    assert_null(s->allow[1].servers);
    settings_free(s);
}

static void drop_ins_merge_key_by_key(void **state)
{
    (void)state;
    struct settings *s = reads_both(WITH("in_flight: {initial: 4, max: 9}"),
                                    "servers:\n  prod: {in_flight: {max: 5}, tls: {ca_file: x.pem}}\n"
                                    "  lab: {url: https://lab, " SERVER_REST "}\nlimits: {runs: 9}\n");
    assert_int_equal(s->n_servers, 2);
    assert_int_equal(s->servers[0].in_flight_initial, 4);
    assert_int_equal(s->servers[0].in_flight_max, 5);
    assert_string_equal(s->servers[0].username, "u");
    assert_string_equal(s->servers[0].ca_file, "/etc/j/x.pem"); /* beside the main file */
    assert_string_equal(s->servers[1].name, "lab");
    assert_int_equal(s->runs_max, 9);
    settings_free(s);
}

static void messages_name_the_file_of_the_value(void **state)
{
    (void)state;
    refuses_both(
        "version: 1\nservers:\n  prod: {url: https://em, " SERVER_REST "}\nlimts: {}\n",
        "servers:\n  prod:\n    in_flight: {max: many}\n",
        "/etc/j/main.yaml:4:1: unknown key \"limts\" in the settings; did you mean \"limits\"?\n"
        "/etc/j/main.yaml.d/10.yaml:3:22: \"max\" must be a number from 1 to 1024; write digits only, "
        "without unit or quotes\n");
}

static void duplicate_keys_do_not_hide_the_rest(void **state)
{
    (void)state;
    refuses_both(
        "version: 1\nversion: 1\nservers: {prod: {url: https://em, " SERVER_REST ", formt: xml}}\n", NULL,
        "/etc/j/main.yaml:2:1: duplicate key \"version\": it is already in line 1; keep one of them\n"
        "/etc/j/main.yaml:3:75: unknown key \"formt\" in a server; did you mean \"format\"?\n");
}

static void defaults_bow_to_a_lower_max(void **state)
{
    (void)state;
    struct settings *s = reads(WITH("in_flight: {max: 3}, poll: {max: 20ms}"));
    assert_int_equal(s->servers[0].in_flight_initial, 3);
    assert_int_equal(s->servers[0].poll_interval_ms, 20);
    settings_free(s);
}

static void check_url(const char *url, const char *part)
{
    char text[512];
    snprintf(text, sizeof(text), "version: 1\nservers: {p: {url: '%s', " SERVER_REST "}}\n", url);
    if (part)
        refuses(text, part);
    else
        settings_free(reads(text));
}

static void urls(void **state)
{
    (void)state;
    check_url("https://em.example.com:9398", NULL);
    check_url("https://192.0.2.1/", NULL);
    check_url("https://[2001:db8::1]:1", NULL);
    check_url("https://em:65535", NULL);
    check_url("http://em", "must begin with https://");
    check_url("em:9398", "must begin with https://");
    check_url("https://", "host is missing");
    check_url("https://:9398", "host is missing");
    check_url("https://[::1", "host is missing");
    check_url("https://em:", "port must be");
    check_url("https://em:0", "port must be");
    check_url("https://em:65536", "port must be");
    check_url("https://em:99999999999", "port must be");
    check_url("https://em/api", "/api is appended");
    check_url("https://em//", "nothing may follow");
    check_url("https://em?x=1", "nothing may follow");
    check_url("https://em#x", "nothing may follow");
    check_url("https://u:p@em", "user name does not belong here");
    check_url("", "is empty");
}

static void check_server(const char *rest, const char *part)
{
    char text[1024];
    snprintf(text, sizeof(text), "version: 1\nservers: {p: {url: https://em, %s}}\n", rest);
    refuses(text, part);
}

static void credentials(void **state)
{
    (void)state;
    check_server("username: u", "has no \"password\"");
    check_server("password: {file: f}", "has no \"username\"");
    check_server("username: 'a:b', password: {file: f}", "must not contain a colon");
    check_server("username: \"a\\tb\", password: {file: f}", "control characters");
    check_server("username: u, password: secret", "does not belong into the settings");
    check_server("username: u, password: {}", "exactly one of");
    check_server("username: u, password: {file: f, credential: c}", "exactly one of");
    check_server("username: u, password: {credential: ../c}", "without a folder");
    check_server("username: u, password: {credential: ..}", "without a folder");
    check_server("username: u, password: {fil: f, file: g}", "did you mean \"file\"?");
}

static void pins(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "sha256//AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",
        "sha256//AAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAAAAA=",
        PIN ";",
        PIN "; " PIN,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), SERVER_REST ", tls: {pin: '%s'}", bad[i]);
        check_server(text, "\"pin\" is not usable");
    }
}

static void impossible_values(void **state)
{
    (void)state;
    refuses(WITH("in_flight: {initial: 9, max: 8}"), "\"initial\" is above \"max\" (8)");
    refuses(WITH("in_flight: {initial: 65}"), "\"initial\" is above \"max\" (64)");
    refuses(WITH("in_flight: {max: 0}"), "from 1 to 1024");
    refuses(WITH("poll: {interval: 2s, max: 1s}"), "\"interval\" is above \"max\"");
    refuses(WITH("session: {keepalive: 15m}"), "it must be from 1ms to 14m");
    refuses(WITH("api_version: v1_4"), "it must be latest, v1_5, v1_6 or v1_7");
    refuses(WITH("format: yaml"), "it must be xml or json");
    refuses(WITH("http: 3"), "\"http\" cannot be \"3\"; it must be 1.1 or 2");
    refuses(WITH("http: 2.0"), "it must be 1.1 or 2");
    refuses(WITH("http: [2]"), "\"http\"");
    refuses(WITH("tls: {verify: 1}"), "true or false");
    refuses(WITH("tls: []"), "\"tls\" must be a mapping");
    refuses(WITH("settle: 20"), "\"settle\" must be a duration");
    refuses(MINIMAL "spool: {directory: here}\n", "must be an absolute path");
    refuses(MINIMAL "limits: {runs: 0}\n", "from 1 to 1000");
    refuses(MINIMAL "spool: {allow: [{user: a, group: b}]}\n", "exactly one of \"user\" and \"group\"");
    refuses(MINIMAL "spool: {allow: [{items: 1}]}\n", "exactly one of \"user\" and \"group\"");
    refuses(MINIMAL "spool: {allow: [{user: a, servers: [prd]}]}\n", "did you mean \"prod\"?");
    refuses(MINIMAL "spool: {allow: [{user: a, sources: []}]}\n", "would allow none");
    refuses(MINIMAL "spool: {allow: [alice]}\n", "must be a mapping");
}

static void the_whole_must_make_sense(void **state)
{
    (void)state;
    refuses("version: 1\n", "there is no server");
    refuses("version: 1\nservers: {}\n", "there is no server");
    refuses("version: 1\nservers: [a]\n", "\"servers\" must be a mapping");
    refuses("version: 1\nservers: {prod: x}\n", "a server must be a mapping");
    refuses("version: 2\nservers: {p: {url: https://em, " SERVER_REST "}}\n", "version");
    refuses("servers: {p: {url: https://em, " SERVER_REST "}}\n", "\"version\" is missing");
    refuses("- version\n", "the settings must be a mapping");
    refuses("", "the file is empty");
    refuses("version: [\n", "not valid YAML");
}

static void sample_is_valid(void **state)
{
    (void)state;
    /* by text, not through "..": the folder of test data need not be there */
    int top = (int)(sizeof(TEST_DATA_DIR) - sizeof("tests/data"));
    char path[4096];
    snprintf(path, sizeof(path), "%.*sconfig/jobcloned.yaml", top, TEST_DATA_DIR);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    char text[16384];
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[len] = '\0';
    struct settings *s = reads(text);
    assert_string_equal(s->servers[0].name, "prod");
    assert_string_equal(s->servers[0].username, "ACME\\svc-clone");
    settings_free(s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_contract),
        cmocka_unit_test(every_value_can_be_set),
        cmocka_unit_test(drop_ins_merge_key_by_key),
        cmocka_unit_test(messages_name_the_file_of_the_value),
        cmocka_unit_test(duplicate_keys_do_not_hide_the_rest),
        cmocka_unit_test(defaults_bow_to_a_lower_max),
        cmocka_unit_test(urls),
        cmocka_unit_test(credentials),
        cmocka_unit_test(pins),
        cmocka_unit_test(impossible_values),
        cmocka_unit_test(the_whole_must_make_sense),
        cmocka_unit_test(sample_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
