#include "inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    struct world *world;
    yaml_document_t doc;
    const char *path;
    struct diag *diag;
    int error; /* first one that is not the file's fault */
};

static void complain(struct reader *reader, const yaml_node_t *node, const char *text)
{
    diag_add(reader->diag, reader->path, (unsigned)node->start_mark.line + 1,
             (unsigned)node->start_mark.column + 1, "%s", text);
}

static const char *scalar(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* Finds a key of a mapping, or NULL. */
static yaml_node_t *member(struct reader *reader, const yaml_node_t *map, const char *key)
{
    if (map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *have = scalar(yaml_document_get_node(&reader->doc, p->key));
        if (have && strcmp(have, key) == 0)
            return yaml_document_get_node(&reader->doc, p->value);
    }
    return NULL;
}

static const char *text(struct reader *reader, const yaml_node_t *map, const char *key)
{
    return scalar(member(reader, map, key));
}

/* Every key must be known: a slip would otherwise be a silent difference. */
static void check_keys(struct reader *reader, const yaml_node_t *map, const char *const *keys)
{
    if (map->type != YAML_MAPPING_NODE) {
        complain(reader, map, "a mapping is wanted here");
        return;
    }
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        yaml_node_t *node = yaml_document_get_node(&reader->doc, p->key);
        const char *have = scalar(node);
        bool known = false;
        for (size_t i = 0; keys[i] && have && !known; i++)
            known = strcmp(keys[i], have) == 0;
        if (!known)
            complain(reader, node, "unknown key");
    }
}

typedef void visit(struct reader *reader, yaml_node_t *node, uint32_t server);

static void each(struct reader *reader, const yaml_node_t *map, const char *key, visit *fn, uint32_t server)
{
    yaml_node_t *list = member(reader, map, key);
    if (!list)
        return;
    if (list->type != YAML_SEQUENCE_NODE) {
        complain(reader, list, "a list is wanted here");
        return;
    }
    for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++)
        fn(reader, yaml_document_get_node(&reader->doc, *i), server);
}

static void note(struct reader *reader, const yaml_node_t *node, int r)
{
    if (r == -EEXIST)
        complain(reader, node, "this id is there already (the same name twice?)");
    else if (r < 0 && !reader->error)
        reader->error = r;
}

static void read_repository(struct reader *reader, yaml_node_t *node, uint32_t server)
{
    static const char *const KEYS[] = {"name", "id", NULL};
    check_keys(reader, node, KEYS);
    const char *name = text(reader, node, "name");
    if (!name)
        complain(reader, node, "name is missing");
    else
        note(reader, node, world_add_repository(reader->world, server, name, text(reader, node, "id")));
}

/* One job, or `count` of them with a number after the name. */
static void add_jobs(struct reader *reader, yaml_node_t *node, struct job job, unsigned long count)
{
    if (!count) {
        note(reader, node, world_add_job(reader->world, &job));
        return;
    }
    const char *base = job.name;
    for (unsigned long i = 1; i <= count; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s %06lu", base, i) < 0) {
            reader->error = -ENOMEM;
            return;
        }
        job.name = name;
        note(reader, node, world_add_job(reader->world, &job));
        free(name);
    }
}

static void read_job(struct reader *reader, yaml_node_t *node, uint32_t server)
{
    static const char *const KEYS[] = {"name", "id", "type", "description", "clonable", "count", NULL};
    check_keys(reader, node, KEYS);
    const char *clonable = text(reader, node, "clonable"), *count = text(reader, node, "count");
    struct job job = {.name = text(reader, node, "name"),
                      .id = text(reader, node, "id"),
                      .type = text(reader, node, "type"),
                      .description = text(reader, node, "description"),
                      .clonable = !clonable || strcmp(clonable, "true") == 0,
                      .server = server};
    char *end = NULL;
    unsigned long number = count ? strtoul(count, &end, 10) : 0;
    if (!job.name || !job.type)
        complain(reader, node, "name or type is missing");
    else if (clonable && strcmp(clonable, "true") != 0 && strcmp(clonable, "false") != 0)
        complain(reader, node, "clonable is true or false");
    else if (count && (*end || number < 1 || number > 1000000 || job.id))
        complain(reader, node, "count is a number from 1 to 1000000, and no id beside it");
    else
        add_jobs(reader, node, job, number);
}

static void read_server(struct reader *reader, yaml_node_t *node, uint32_t unused)
{
    static const char *const KEYS[] = {"name", "id", "repositories", "jobs", NULL};
    (void)unused;
    check_keys(reader, node, KEYS);
    const char *name = text(reader, node, "name");
    if (!name) {
        complain(reader, node, "name is missing");
        return;
    }
    int r = world_add_server(reader->world, name, text(reader, node, "id"));
    note(reader, node, r);
    if (r < 0)
        return;
    uint32_t server = (uint32_t)(reader->world->n_servers - 1);
    each(reader, node, "repositories", read_repository, server);
    each(reader, node, "jobs", read_job, server);
}

static void read_user(struct reader *reader, yaml_node_t *node, uint32_t unused)
{
    static const char *const KEYS[] = {"name", "password", "role", NULL};
    (void)unused;
    check_keys(reader, node, KEYS);
    const char *name = text(reader, node, "name"), *password = text(reader, node, "password");
    const char *role = text(reader, node, "role");
    bool administrator = !role || strcmp(role, "administrator") == 0;
    if (!name || !password || (!administrator && strcmp(role, "user") != 0))
        complain(reader, node, "a user has name, password, and role administrator or user");
    else
        note(reader, node, world_add_user(reader->world, name, password, administrator));
}

static void read_document(struct reader *reader)
{
    static const char *const KEYS[] = {"backup_servers", "users", NULL};
    yaml_node_t *root = yaml_document_get_root_node(&reader->doc);
    if (!root) {
        diag_add(reader->diag, reader->path, 1, 0, "the file is empty");
        return;
    }
    check_keys(reader, root, KEYS);
    each(reader, root, "backup_servers", read_server, 0);
    each(reader, root, "users", read_user, 0);
    if (!reader->world->n_servers)
        complain(reader, root, "backup_servers is missing or empty");
    if (!reader->world->n_users)
        note(reader, root, world_add_user(reader->world, "LAB\\svc-clone", "secret", true));
}

int inventory_load(struct world *world, const char *path, struct diag *diag)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return -ENOMEM;
    }
    yaml_parser_set_input_file(&parser, file);
    struct reader reader = {.world = world, .path = path, .diag = diag};
    if (yaml_parser_load(&parser, &reader.doc)) {
        read_document(&reader);
        yaml_document_delete(&reader.doc);
    } else {
        diag_add(diag, path, (unsigned)parser.problem_mark.line + 1, (unsigned)parser.problem_mark.column + 1,
                 "%s", parser.problem ? parser.problem : "not YAML");
    }
    yaml_parser_delete(&parser);
    fclose(file);
    return reader.error ? reader.error : diag->count ? -EINVAL : 0;
}
