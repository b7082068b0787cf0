/* Who may have what carried out (`spool.allow`): the first entry whose user or group
 * owns the file decides. */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/diag.h"
#include "io/spool_parts.h"
#include "model/plan.h"
#include "model/settings.h"

#define LOOKUP_BYTES (64 * 1024) /* a large group has a long line */
#define GUID_LEN 36

struct spool_ids {
    size_t n;
    struct spool_id {
        bool known;
        uint32_t id;
    } all[];
};

static struct spool_id find_user(const char *name, char *text)
{
    struct passwd entry, *found = NULL;
    if (getpwnam_r(name, &entry, text, LOOKUP_BYTES, &found) != 0 || found == NULL)
        return (struct spool_id){0};
    return (struct spool_id){true, found->pw_uid};
}

static struct spool_id find_group(const char *name, char *text)
{
    struct group entry, *found = NULL;
    if (getgrnam_r(name, &entry, text, LOOKUP_BYTES, &found) != 0 || found == NULL)
        return (struct spool_id){0};
    return (struct spool_id){true, found->gr_gid};
}

/* ---- rules ---- */

static char **copy_list(char *const *list, bool *failed)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    char **copy = list != NULL ? calloc(n + 1, sizeof(*copy)) : NULL;
    for (size_t i = 0; copy != NULL && i < n && !*failed; i++) {
        copy[i] = strdup(list[i]);
        *failed = copy[i] == NULL;
    }
    *failed = *failed || (list != NULL && copy == NULL);
    return copy;
}

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    *failed = *failed || (text != NULL && copy == NULL);
    return copy;
}

struct settings *spool_rules_copy(const struct settings *settings)
{
    struct settings *copy = calloc(1, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    copy->servers = calloc(settings->n_servers + 1, sizeof(*copy->servers));
    copy->allow = calloc(settings->n_allow + 1, sizeof(*copy->allow));
    copy->allow_given = settings->allow_given;
    copy->plan_bytes = settings->plan_bytes;
    copy->plan_items = settings->plan_items;
    bool failed = copy->servers == NULL || copy->allow == NULL;
    for (size_t i = 0; i < settings->n_servers && !failed; i++)
        copy->servers[copy->n_servers++].name = copy_text(settings->servers[i].name, &failed);
    for (size_t i = 0; i < settings->n_allow && !failed; i++) {
        const struct spool_allow *from = &settings->allow[i];
        struct spool_allow *to = &copy->allow[copy->n_allow++];
        to->user = copy_text(from->user, &failed);
        to->group = copy_text(from->group, &failed);
        to->servers = copy_list(from->servers, &failed);
        to->sources = copy_list(from->sources, &failed);
        to->items = from->items;
    }
    return failed ? settings_free(copy) : copy;
}

/* ---- users and groups ---- */

struct spool_ids *spool_ids_new(const struct settings *rules)
{
    struct spool_ids *ids = calloc(1, sizeof(*ids) + rules->n_allow * sizeof(ids->all[0]));
    char *text = malloc(LOOKUP_BYTES);
    if (ids == NULL || text == NULL) {
        free(ids);
        free(text);
        return NULL;
    }
    ids->n = rules->n_allow;
    for (size_t i = 0; i < ids->n; i++) {
        const struct spool_allow *allow = &rules->allow[i];
        ids->all[i] = allow->user != NULL ? find_user(allow->user, text) : find_group(allow->group, text);
    }
    free(text);
    return ids;
}

struct spool_ids *spool_ids_free(struct spool_ids *ids)
{
    free(ids);
    return NULL;
}

static const struct spool_allow *find_rule(const struct settings *rules, const struct spool_ids *ids,
                                           uid_t owner, gid_t group)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->all[i].known && ids->all[i].id == (rules->allow[i].user != NULL ? owner : group))
            return &rules->allow[i];
    return NULL;
}

static bool is_listed(char *const *list, const char *word)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

/* A source that the plan gives by its GUID is listed as the GUID or as an urn that ends in it. */
static bool is_listed_guid(char *const *list, const char *guid)
{
    for (; *list != NULL; list++) {
        size_t len = strlen(*list);
        if (len >= GUID_LEN && strcasecmp(*list + len - GUID_LEN, guid) == 0)
            return true;
    }
    return false;
}

static bool check_sources(const struct spool_allow *rule, const char *who, const struct plan *plan,
                          struct diag *diag)
{
    bool good = true;
    for (size_t i = 0; i < plan->n_clones && rule->sources != NULL; i++) {
        const struct plan_clone *clone = &plan->clones[i];
        const char *source = clone->source.text;
        if (clone->source.by == PLAN_REF_ID ? is_listed_guid(rule->sources, source)
                                            : is_listed(rule->sources, source))
            continue;
        diag_add(diag, plan->file, clone->line, clone->column,
                 "source \"%s\" is not allowed for %s; name one that spool.allow of the settings lists",
                 source, who);
        good = false;
    }
    return good;
}

static bool check_rule(const struct spool_allow *rule, const struct plan *plan, struct diag *diag)
{
    char who[300];
    bool good = true;
    snprintf(who, sizeof(who), "%s %s", rule->user != NULL ? "user" : "group",
             rule->user != NULL ? rule->user : rule->group);
    if (rule->servers != NULL && !is_listed(rule->servers, plan->server)) {
        diag_add(diag, plan->file, 0, 0,
                 "server \"%s\" is not allowed for %s; name one that spool.allow of the settings lists",
                 plan->server, who);
        good = false;
    }
    if (rule->items > 0 && plan->n_clones > rule->items) {
        diag_add(diag, plan->file, 0, 0,
                 "%zu clones are more than the %u that spool.allow of the settings grants %s; split the plan",
                 plan->n_clones, rule->items, who);
        good = false;
    }
    return check_sources(rule, who, plan, diag) && good;
}

bool spool_allowed(const struct settings *rules, const struct spool_ids *ids, uid_t owner, gid_t group,
                   const struct plan *plan, struct diag *diag)
{
    if (!rules->allow_given)
        return true;
    const struct spool_allow *rule = find_rule(rules, ids, owner, group);
    if (rule != NULL)
        return check_rule(rule, plan, diag);
    diag_add(diag, plan->file, 0, 0,
             "neither its owner (uid %lu) nor its group (gid %lu) is in spool.allow of the settings; ask for "
             "an entry there",
             (unsigned long)owner, (unsigned long)group);
    return false;
}
