#include "codec/settings_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"
#include "codec/settings_server.h"
#include "codec/yaml_get.h"
#include "model/settings.h"

#define DAY_MS UINT64_C(86400000)
#define RUNS_MAX 1000
#define PLAN_BYTES_MAX (1024 * 1024 * 1024)
#define PLAN_ITEMS_MAX 10000000
#define SOCKET_PATH_MAX 107 /* what sockaddr_un holds beside its NUL */

static const struct yaml_limits limits = {.bytes = 1024 * 1024, .nodes = 20000};

/* ---- drop-ins ---- */

static void merge_child(struct yaml_node *base, struct yaml_node *child);

/* Moves the children of `over` into `base`. */
static void merge(struct yaml_node *base, struct yaml_node *over)
{
    for (struct yaml_node *child = over->first, *next; child; child = next) {
        next = child->next;
        child->next = NULL;
        merge_child(base, child);
    }
}

static void merge_child(struct yaml_node *base, struct yaml_node *child)
{
    struct yaml_node **at = &base->first;
    while (*at && strcmp((*at)->key, child->key) != 0)
        at = &(*at)->next;
    struct yaml_node *old = *at;
    if (old && old->kind == YAML_MAPPING && child->kind == YAML_MAPPING) {
        merge(old, child);
        return;
    }
    child->next = old ? old->next : NULL;
    base->n += old ? 0 : 1;
    *at = child;
}

/* Reads all sources, also behind a bad one: all messages in one go. *ret_root is NULL when
 * a source could not be read to its end. */
static int read_sources(const struct settings_source *sources, size_t n, struct arena *arena,
                        struct yaml_node **ret_root, struct diag *diag)
{
    struct yaml_node *root = NULL;
    bool bad = false;
    for (size_t i = 0; i < n; i++) {
        struct yaml_node *node;
        if (yaml_read(sources[i].text, sources[i].file, &limits, arena, &node, diag) == -ENOMEM)
            return -ENOMEM;
        if (node && node->kind != YAML_MAPPING) {
            yaml_say(diag, node, "the settings must be a mapping; write them as \"key: value\" pairs");
            node = NULL;
        }
        bad = bad || !node;
        if (node && root)
            merge(root, node);
        else if (node)
            root = node;
    }
    *ret_root = bad ? NULL : root;
    return 0;
}

/* ---- sections ---- */

static void read_servers(struct settings_decoder *decoder, const struct yaml_node *root)
{
    struct yaml_node *servers = NULL;
    if (!yaml_get_mapping(root, "servers", &servers, decoder->diag) && yaml_child(root, "servers"))
        return;
    if (!servers || servers->n == 0) {
        const char *problem = "there is no server; add one under \"servers\"";
        yaml_say_key(decoder->diag, servers ? servers : root, "%s", problem);
        return;
    }
    struct settings *settings = decoder->settings;
    settings->servers = calloc(servers->n, sizeof(*settings->servers));
    if (!settings->servers) {
        decoder->no_memory = true;
        return;
    }
    for (const struct yaml_node *node = servers->first; node; node = node->next)
        settings_server_decode(decoder, node, &settings->servers[settings->n_servers++]);
}

/* The value of `key` must be an absolute path. */
static bool read_place(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                       char **ret)
{
    if (!settings_text(decoder, mapping, key, ret))
        return false;
    if ((*ret)[0] == '/')
        return true;
    yaml_say(decoder->diag, yaml_child(mapping, key), "\"%s\" must be an absolute path; begin it with /",
             key);
    return false;
}

/* The mapping of a top-level section with its keys checked, or NULL when absent or bad. */
static const struct yaml_node *section(struct settings_decoder *decoder, const struct yaml_node *root,
                                       const char *key, const char *const *keys)
{
    struct yaml_node *node;
    if (!yaml_get_mapping(root, key, &node, decoder->diag))
        return NULL;
    return yaml_check_keys(node, key, keys, decoder->diag) ? node : NULL;
}

/* ---- spool ---- */

static void say_unless_server(struct settings_decoder *decoder, const struct yaml_node *node)
{
    const struct settings *settings = decoder->settings;
    if (settings_server(settings, node->text))
        return;
    _cleanup_free_ const char **names = calloc(settings->n_servers + 1, sizeof(*names));
    if (!names) {
        decoder->no_memory = true;
        return;
    }
    for (size_t i = 0; i < settings->n_servers; i++)
        names[i] = settings->servers[i].name;
    const char *near = text_nearest(node->text, names, settings->n_servers);
    if (near)
        yaml_say(decoder->diag, node, "there is no server \"%s\"; did you mean \"%s\"?", node->text, near);
    else
        yaml_say(decoder->diag, node,
                 "there is no server \"%s\"; add it under \"servers\", or remove it here", node->text);
}

/* A list of texts as a NULL-ended array. */
static void read_texts(struct settings_decoder *decoder, const struct yaml_node *mapping, const char *key,
                       char ***ret)
{
    struct yaml_node *list;
    if (!yaml_get_sequence(mapping, key, &list, decoder->diag))
        return;
    if (list->n == 0)
        yaml_say(decoder->diag, list, "\"%s\" is empty and would allow none; remove it to allow all", key);
    *ret = calloc(list->n + 1, sizeof(**ret));
    if (!*ret) {
        decoder->no_memory = true;
        return;
    }
    size_t n = 0;
    for (const struct yaml_node *node = list->first; node; node = node->next) {
        if (node->kind == YAML_SCALAR && *node->text)
            (*ret)[n++] = settings_copy(decoder, node->text);
        else
            yaml_say(decoder->diag, node, "\"%s\" is a list of names; write a name here", key);
    }
}

static void check_servers(struct settings_decoder *decoder, const struct yaml_node *entry)
{
    const struct yaml_node *list = yaml_child(entry, "servers");
    if (!list || list->kind != YAML_SEQUENCE)
        return;
    for (const struct yaml_node *node = list->first; node; node = node->next)
        if (node->kind == YAML_SCALAR && *node->text && decoder->settings->n_servers > 0)
            say_unless_server(decoder, node);
}

static void read_allow_entry(struct settings_decoder *decoder, const struct yaml_node *entry,
                             struct spool_allow *ret)
{
    static const char *const keys[] = {"user", "group", "servers", "sources", "items", NULL};
    if (!yaml_check_keys(entry, "an entry of \"allow\"", keys, decoder->diag))
        return;
    bool user = yaml_child(entry, "user"), group = yaml_child(entry, "group");
    if (user == group)
        yaml_say(decoder->diag, entry,
                 "an entry of \"allow\" needs exactly one of \"user\" and \"group\"; %s",
                 user ? "remove one of them" : "write one of them");
    settings_text(decoder, entry, "user", &ret->user);
    settings_text(decoder, entry, "group", &ret->group);
    read_texts(decoder, entry, "servers", &ret->servers);
    check_servers(decoder, entry);
    read_texts(decoder, entry, "sources", &ret->sources);
    settings_number(decoder, entry, "items", 0, PLAN_ITEMS_MAX, &ret->items);
}

static void read_allow(struct settings_decoder *decoder, const struct yaml_node *spool)
{
    struct yaml_node *list;
    if (!yaml_get_sequence(spool, "allow", &list, decoder->diag))
        return;
    struct settings *settings = decoder->settings;
    settings->allow_given = true; /* also when empty: then nobody's plan is taken */
    settings->allow = calloc(list->n + 1, sizeof(*settings->allow));
    if (!settings->allow) {
        decoder->no_memory = true;
        return;
    }
    for (const struct yaml_node *node = list->first; node; node = node->next)
        read_allow_entry(decoder, node, &settings->allow[settings->n_allow++]);
}

static void read_spool(struct settings_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"directory", "allow", NULL};
    const struct yaml_node *spool = section(decoder, root, "spool", keys);
    read_place(decoder, spool, "directory", &decoder->settings->spool_directory);
    read_allow(decoder, spool);
}

static void read_plans(struct settings_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"directory", NULL};
    const struct yaml_node *plans = section(decoder, root, "plans", keys);
    read_place(decoder, plans, "directory", &decoder->settings->plans_directory);
}

static void read_state(struct settings_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"directory", "keep", NULL};
    const struct yaml_node *state = section(decoder, root, "state", keys);
    struct settings *settings = decoder->settings;
    settings->state_given = read_place(decoder, state, "directory", &settings->state_directory);
    yaml_get_duration(state, "keep", DAY_MS / 24, 36500 * DAY_MS, &settings->keep_ms, decoder->diag);
}

static void read_control(struct settings_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"socket", NULL};
    const struct yaml_node *control = section(decoder, root, "control", keys);
    char **path = &decoder->settings->control_socket;
    if (read_place(decoder, control, "socket", path) && strlen(*path) > SOCKET_PATH_MAX)
        yaml_say(decoder->diag, yaml_child(control, "socket"),
                 "\"socket\" is longer than the %d bytes that a socket's path may have; shorten it",
                 SOCKET_PATH_MAX);
}

static void read_limits(struct settings_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"runs", "plan_bytes", "plan_items", NULL};
    const struct yaml_node *node = section(decoder, root, "limits", keys);
    struct settings *settings = decoder->settings;
    unsigned bytes = (unsigned)settings->plan_bytes;
    settings_number(decoder, node, "runs", 1, RUNS_MAX, &settings->runs_max);
    settings_number(decoder, node, "plan_bytes", 1, PLAN_BYTES_MAX, &bytes);
    settings_number(decoder, node, "plan_items", 1, PLAN_ITEMS_MAX, &settings->plan_items);
    settings->plan_bytes = bytes;
}

/* ---- the whole ---- */

static void set_defaults(struct settings_decoder *decoder)
{
    struct settings *settings = decoder->settings;
    settings->spool_directory = settings_copy(decoder, "/var/lib/jobclone/spool");
    settings->plans_directory = settings_copy(decoder, "/etc/jobclone/plans.d");
    settings->state_directory = settings_copy(decoder, "/var/lib/jobclone");
    settings->control_socket = settings_copy(decoder, "/run/jobclone/control.sock");
    settings->keep_ms = 90 * DAY_MS;
    settings->runs_max = 4;
    settings->plan_bytes = 16 * 1024 * 1024;
    settings->plan_items = 200000;
}

static void read_root(struct settings_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"version", "servers", "spool",  "plans",
                                       "state",   "control", "limits", NULL};
    yaml_check_keys(root, "the settings", keys, decoder->diag);
    yaml_check_version(root, decoder->diag);
    read_servers(decoder, root);
    read_spool(decoder, root);
    read_plans(decoder, root);
    read_state(decoder, root);
    read_control(decoder, root);
    read_limits(decoder, root);
}

static int decode(const struct settings_source *sources, size_t n, struct arena *arena,
                  struct settings_decoder *decoder)
{
    struct yaml_node *root;
    unsigned before = decoder->diag->count;
    int r = read_sources(sources, n, arena, &root, decoder->diag);
    if (r < 0 || !root)
        return r < 0 ? r : -EINVAL;
    decoder->settings = calloc(1, sizeof(*decoder->settings));
    if (!decoder->settings)
        return -ENOMEM;
    set_defaults(decoder);
    read_root(decoder, root);
    if (decoder->no_memory)
        return -ENOMEM;
    return decoder->diag->count == before ? 0 : -EINVAL;
}

int settings_yaml_decode(const struct settings_source *sources, size_t n, struct settings **ret_settings,
                         struct diag *diag)
{
    struct arena *arena = arena_new();
    if (!arena)
        return -ENOMEM;
    struct settings_decoder decoder = {.diag = diag, .main_file = n > 0 ? sources[0].file : ""};
    int r = decode(sources, n, arena, &decoder);
    arena_free(arena);
    if (r < 0)
        settings_free(decoder.settings);
    else
        *ret_settings = decoder.settings;
    return r;
}
