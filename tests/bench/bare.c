/* The least that a client on libcurl can do to have clones made on the yardstick: it logs on, reads the first
 * page of jobs, sends one request for each clone, reads the list of tasks once, and logs off. Nothing is
 * stored, no answer is looked into, nothing is followed, verified or tried again. What it does not reach is
 * out of reach for a client that does its work (docs/PERFORMANCE.md). */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE "78c3919c-54d7-43fe-b047-485d3566f11f"     /* the yardstick's job to clone, */
#define REPOSITORY "cbd9a4b6-b9ed-4cd6-a091-75b6481c9d55" /* and one of its repositories */
#define WAIT_MS 1000
#define REQUEST_S 60L

struct place {
    CURL *easy;
    char body[1024];
};

struct bare {
    const char *api, *ca;
    size_t clones, asked, accepted;
    CURLM *multi;
    struct curl_slist *headers;
    char token[128], session[128];
};

static void fail(const char *what)
{
    fprintf(stderr, "bare: %s\n", what);
    exit(1);
}

/* ---- one request ---- */

/* A line is no string, and the last one is empty. */
static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    static const char name[] = "X-RestSvcSessionId:";
    struct bare *bare = user;
    char text[256];
    size_t len = size * n < sizeof(text) ? size * n : sizeof(text) - 1;
    memcpy(text, line, len);
    text[len] = '\0';
    if (strncasecmp(text, name, sizeof(name) - 1) == 0)
        sscanf(text + sizeof(name) - 1, " %127[^\r\n]", bare->token);
    return size * n;
}

/* The logon's answer names its session; it comes first, and in one piece. */
static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    static const char place[] = "/logonSessions/";
    struct bare *bare = user;
    char text[4096];
    size_t len = size * n < sizeof(text) ? size * n : sizeof(text) - 1;
    if (bare->session[0])
        return size * n;
    memcpy(text, data, len);
    text[len] = '\0';
    const char *at = strstr(text, place);
    if (at)
        sscanf(at + strlen(place), "%127[^\"/?]", bare->session);
    return size * n;
}

static CURL *easy_new(struct bare *bare, const char *method, const char *path)
{
    char url[512];
    CURL *easy = curl_easy_init();
    if (!easy || snprintf(url, sizeof(url), "%s%s", bare->api, path) >= (int)sizeof(url))
        fail("no request can be made");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CAINFO, bare->ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, REQUEST_S);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, bare->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, bare);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, bare);
    return easy;
}

/* A request that has ended, with the answer that is wanted; NULL: none has ended since. */
static CURL *next_done(struct bare *bare, long status)
{
    CURLMsg *message;
    int left;
    long got = 0;
    while ((message = curl_multi_info_read(bare->multi, &left)) && message->msg != CURLMSG_DONE)
        ;
    if (!message)
        return NULL;
    CURL *easy = message->easy_handle;
    if (message->data.result != CURLE_OK)
        fail(curl_easy_strerror(message->data.result));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &got);
    if (got != status)
        fail("a request was answered with another status than it should");
    curl_multi_remove_handle(bare->multi, easy);
    return easy;
}

static void go_on(struct bare *bare)
{
    int running;
    if (curl_multi_perform(bare->multi, &running) != CURLM_OK)
        fail("curl does not go on");
}

static void wait_for_some(struct bare *bare)
{
    if (curl_multi_poll(bare->multi, NULL, 0, WAIT_MS, NULL) != CURLM_OK)
        fail("curl does not wait");
}

/* ---- the steps ---- */

static void alone(struct bare *bare, CURL *easy, long status)
{
    curl_multi_add_handle(bare->multi, easy);
    for (go_on(bare); !next_done(bare, status); go_on(bare))
        wait_for_some(bare);
    curl_easy_cleanup(easy);
}

static void log_on(struct bare *bare)
{
    char header[256];
    CURL *easy = easy_new(bare, "POST", "/sessionMngr/?v=latest");
    curl_easy_setopt(easy, CURLOPT_USERPWD, "bench:bench");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    alone(bare, easy, 201);
    if (!bare->token[0] || !bare->session[0])
        fail("the logon was answered without a session");
    snprintf(header, sizeof(header), "X-RestSvcSessionId: %s", bare->token);
    bare->headers = curl_slist_append(bare->headers, header);
    bare->headers = curl_slist_append(bare->headers, "Content-Type: application/xml");
    bare->headers = curl_slist_append(bare->headers, "Expect:");
}

static void next_clone(struct bare *bare, struct place *place)
{
    size_t i = bare->asked++;
    snprintf(place->body, sizeof(place->body),
             "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
             "<JobCloneSpec xmlns=\"http://www.veeam.com/ent/v1.0\"><BackupJobCloneInfo>"
             "<JobName>bare-%06zu</JobName><FolderName>bare-%06zu</FolderName>"
             "<RepositoryUid>urn:veeam:Repository:" REPOSITORY "</RepositoryUid>"
             "<Description>Cloned Oracle backup job</Description></BackupJobCloneInfo></JobCloneSpec>",
             i, i);
    curl_easy_setopt(place->easy, CURLOPT_POSTFIELDS, place->body);
    curl_multi_add_handle(bare->multi, place->easy);
}

/* Each place sends its first request while those of the places before it are on their way. */
static void clone_all(struct bare *bare, size_t in_flight)
{
    struct place *places = calloc(in_flight, sizeof(*places));
    if (!places)
        fail("out of memory");
    for (size_t i = 0; i < in_flight && bare->asked < bare->clones; i++) {
        places[i].easy = easy_new(bare, "POST", "/jobs/" SOURCE "?action=clone");
        curl_easy_setopt(places[i].easy, CURLOPT_PRIVATE, &places[i]);
        next_clone(bare, &places[i]);
        go_on(bare);
    }
    while (bare->accepted < bare->clones) {
        go_on(bare);
        CURL *easy;
        struct place *place;
        while ((easy = next_done(bare, 202))) {
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&place);
            bare->accepted++;
            if (bare->asked < bare->clones)
                next_clone(bare, place);
        }
        if (bare->accepted < bare->clones)
            wait_for_some(bare);
    }
    for (size_t i = 0; i < in_flight; i++)
        curl_easy_cleanup(places[i].easy);
    free(places);
}

static void log_off(struct bare *bare)
{
    char path[160];
    snprintf(path, sizeof(path), "/logonSessions/%s", bare->session);
    alone(bare, easy_new(bare, "DELETE", path), 204);
}

int main(int argc, char **argv)
{
    if (argc != 5 || atol(argv[3]) < 1 || atol(argv[4]) < 1) {
        fprintf(stderr, "usage: bare API CA CLONES IN_FLIGHT\n");
        return 2;
    }
    struct bare bare = {.api = argv[1], .ca = argv[2], .clones = (size_t)atol(argv[3])};
    size_t in_flight = (size_t)atol(argv[4]);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(bare.multi = curl_multi_init()))
        fail("curl cannot be used");
    curl_multi_setopt(bare.multi, CURLMOPT_MAXCONNECTS, (long)in_flight + 1);
    log_on(&bare);
    alone(&bare, easy_new(&bare, "GET", "/query?type=Job&format=Entities&pageSize=500&page=1"), 200);
    clone_all(&bare, in_flight);
    alone(&bare, easy_new(&bare, "GET", "/tasks"), 200);
    log_off(&bare);
    curl_multi_cleanup(bare.multi);
    curl_slist_free_all(bare.headers);
    curl_global_cleanup();
    printf("%zu clones\n", bare.accepted);
    return 0;
}
