/* Texts of the wire that every format shares: GUIDs out of urns and links, and query values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/api.h"
#include "codec/api_text.h"

#define GUID "b0e6a3a6-d659-4dfc-9224-0ea9d92a176b"
#define UPPER "B0E6A3A6-D659-4DFC-9224-0EA9D92A176B"
#define OTHER "df17aa72-3bde-4468-a13b-ecb9733ba43b"

static void uids_give_their_guid(void **state)
{
    (void)state;
    static const char *const good[] = {"urn:veeam:Job:" GUID, "urn:veeam:Repository:" UPPER, GUID, ":" GUID,
                                       "urn:" OTHER ":" GUID};
    static const char *const bad[] = {"",
                                      ":",
                                      "urn:veeam:Job:",
                                      "urn:veeam:Job:" GUID "x",
                                      "urn:veeam:Job:" GUID " ",
                                      "urn:veeam:Job:x" GUID,
                                      "urn:veeam:Job:" GUID ":",
                                      "urn:veeam:Job:b0e6a3a6-d659-4dfc-9224-0ea9d92a176",
                                      "urn:veeam:Job:b0e6a3a6xd659-4dfc-9224-0ea9d92a176b",
                                      "urn:veeam:Job:g0e6a3a6-d659-4dfc-9224-0ea9d92a176b",
                                      "urn:VMware:Vm:" GUID ".vm-2017"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        char id[API_GUID_LEN + 1] = "";
        assert_true(api_guid_of_uid(good[i], id));
        assert_string_equal(id, GUID);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char id[API_GUID_LEN + 1] = "kept";
        if (api_guid_of_uid(bad[i], id))
            fail_msg("%s passes", bad[i]);
        assert_string_equal(id, "kept");
    }
}

static void links_give_the_guid_of_their_end(void **state)
{
    (void)state;
    static const char *const good[] = {"https://em01.lab.example:9398/api/jobs/" GUID,
                                       "https://em01.lab.example:9398/api/jobs/" GUID "?format=Entity",
                                       "/API/JOBS/" UPPER "/", "/jobs/" GUID "#part",
                                       "https://h/jobs/" OTHER "/jobs/" GUID "?x=/jobs/" OTHER};
    static const char *const bad[] = {"",
                                      "/",
                                      "?",
                                      "/jobs/",
                                      GUID,
                                      "jobs/" GUID,
                                      "/api/jobs/" GUID "/includes",
                                      "/api/jobs/" GUID "/includes/" OTHER,
                                      "/api/jobs/" GUID "//",
                                      "/api/otherjobs/" GUID,
                                      "/api/repositories/" GUID,
                                      "/api/jobs/x" GUID,
                                      "/api/tasks/task-41?back=/jobs/" GUID};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        char id[API_GUID_LEN + 1] = "";
        if (!api_guid_of_href(good[i], "/jobs/", id))
            fail_msg("%s does not pass", good[i]);
        assert_string_equal(id, GUID);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char id[API_GUID_LEN + 1] = "kept";
        if (api_guid_of_href(bad[i], "/jobs/", id))
            fail_msg("%s passes", bad[i]);
        assert_string_equal(id, "kept");
    }
}

static void query_values_are_encoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expect;
    } cases[] = {
        {"", ""},
        {"AZaz09-._~", "AZaz09-._~"},
        {"Name==\"web 017\"", "Name%3D%3D%22web%20017%22"},
        {"a+b&c#d%e;f,g/h?i:j@k", "a%2Bb%26c%23d%25e%3Bf%2Cg%2Fh%3Fi%3Aj%40k"},
        {"(R&D)*!'", "%28R%26D%29%2A%21%27"},
        {"\xc5\x81\xc3\xb3\x64\xc5\xba \xf0\x9f\x98\x80", "%C5%81%C3%B3d%C5%BA%20%F0%9F%98%80"},
        {"\t\r\n\x01\x7f\xff", "%09%0D%0A%01%7F%FF"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf out = BUF_INIT(1024);
        assert_int_equal(api_encode_query(cases[i].text, &out), 0);
        assert_string_equal(buf_str(&out), cases[i].expect);
        buf_done(&out);
    }
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Undoes one character of the encoding; returns its length. */
static size_t decode(const char *p, char *ret)
{
    *ret = *p;
    if (*p != '%')
        return 1;
    int byte = hex(p[1]) * 16 + hex(p[2]);
    *ret = (char)byte;
    return 3;
}

static void every_byte_can_be_decoded_again(void **state)
{
    (void)state;
    char text[256];
    for (int i = 0; i < 255; i++)
        text[i] = (char)(i + 1);
    text[255] = '\0';
    struct buf out = BUF_INIT(1024), back = BUF_INIT(1024);
    assert_int_equal(buf_add_str(&out, "before="), 0);
    assert_int_equal(api_encode_query(text, &out), 0);
    for (const char *p = buf_str(&out) + strlen("before="); *p;) {
        char c;
        assert_null(strchr(" +&=;\"", *p));
        p += decode(p, &c);
        buf_add_char(&back, c);
    }
    assert_string_equal(buf_str(&back), text);
    buf_done(&out);
    buf_done(&back);
}

static void full_buffers_are_told(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(5);
    assert_int_equal(api_encode_query("  ", &out), -ENOBUFS);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uids_give_their_guid),     cmocka_unit_test(links_give_the_guid_of_their_end),
        cmocka_unit_test(query_values_are_encoded), cmocka_unit_test(every_byte_can_be_decoded_again),
        cmocka_unit_test(full_buffers_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
