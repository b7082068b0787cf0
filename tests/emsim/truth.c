/* What really happened, for tests to hold the client against. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "routes.h"

static void write_clone(struct call *call, const struct clone *c)
{
    static const char *const STATES[] = {"running", "done", "failed"};
    const struct world *w = call->world;
    const struct job *source = &w->jobs[c->source], *made = c->job == WORLD_NONE ? NULL : &w->jobs[c->job];
    struct out *out = &call->out;
    char uid[80] = "";
    if (made)
        snprintf(uid, sizeof(uid), "urn:veeam:Job:%s", made->id);
    out_open(out, "clone");
    out_attr(out, "name", c->spec.name);
    out_attr(out, "source", source->id);
    out_attr(out, "source_name", source->name);
    out_attr(out, "kind", source->type);
    out_attr(out, "backup_server", w->servers[source->server].name);
    out_attr(out, "repository_uid", c->spec.repository_uid);
    out_attr(out, "folder", c->spec.folder);
    out_attr(out, "file", c->spec.file);
    out_attr(out, "vm_suffix", c->spec.vm_suffix);
    out_attr(out, "description", c->spec.description);
    if (made)
        out_attr(out, "job_uid", uid);
    out_attr_number(out, "request", c->request);
    out_attr(out, "state", STATES[c->state]);
    out_attr_bool(out, "visible", made && world_job_visible(w, made));
    out_attr_bool(out, "deleted", made && made->deleted);
    out_close(out);
}

/* The mark at the end of a description, " [jobclone:RUN/INDEX]", else NULL. */
static const char *mark_of(const struct clone *c)
{
    const char *mark = NULL;
    for (const char *p = c->spec.description; p && (p = strstr(p, "[jobclone:")); p++)
        mark = p;
    return mark;
}

/* Writes each key that more than one clone has, once. `failed` counts failed ones too. */
static void write_twice(struct call *call, const char *title, bool by_mark, bool failed)
{
    const struct world *w = call->world;
    struct table seen = {0};
    struct arena *keys = arena_new();
    out_list(&call->out, NULL, title);
    for (size_t i = 0; keys && i < w->n_clones; i++) {
        const struct clone *c = &w->clones[i];
        _cleanup_free_ char *made = NULL;
        const char *name = by_mark ? mark_of(c) : c->spec.name;
        if (!name || (c->state != CLONE_DONE && !failed))
            continue;
        const char *server = by_mark ? "" : w->servers[w->jobs[c->source].server].name;
        if (asprintf(&made, "%s%s%s", server, by_mark ? "" : "/", name) < 0) {
            made = NULL;
            call->out.error = -1;
            break;
        }
        uint32_t times = table_get(&seen, made);
        const char *key = times == TABLE_NONE ? arena_str(keys, made) : table_key(&seen, made);
        times = times == TABLE_NONE ? 1 : times + 1;
        if (!key || table_put(&seen, key, times) < 0)
            call->out.error = -1;
        if (times != 2)
            continue;
        out_attr(&call->out, "", made);
    }
    out_close(&call->out);
    table_done(&seen);
    arena_free(keys);
}

static void write_numbers(struct call *call)
{
    const struct world *w = call->world;
    struct out *out = &call->out;
    out_attr_number(out, "logons", w->logons);
    out_attr_number(out, "logons_in_parallel_max", w->sessions_open_max);
    out_attr_number(out, "sessions_open", w->sessions_open);
    out_attr(out, "last_token", w->n_sessions ? w->sessions[w->n_sessions - 1].token : NULL);
    out_attr_number(out, "deleted_running", w->deleted_running);
    out_attr_number(out, "clone_in_flight_max", w->clone_in_flight_max);
    out_attr_number(out, "tasks_unfinished", w->tasks_unfinished);
    out_attr_number(out, "tasks_unfinished_max", w->tasks_unfinished_max);
    out_attr_number(out, "connections", w->connections);
    out_attr_number(out, "refused_by_load", w->refused_by_load);
    out_attr_number(out, "faults", w->behaviour.faults_made);
}

void truth_write(struct call *call)
{
    const struct world *w = call->world;
    struct out *out = &call->out;
    out_root(out, "truth");
    out_list(out, NULL, "clones");
    for (size_t i = 0; i < w->n_clones; i++)
        write_clone(call, &w->clones[i]);
    out_close(out);
    write_twice(call, "duplicates", false, false);
    write_twice(call, "names_asked_twice", false, true);
    write_twice(call, "marks_twice", true, false);
    write_twice(call, "marks_asked_twice", true, true);
    out_open(out, "requests");
    for (unsigned i = 0; i < REQUEST_KIND_MAX; i++)
        out_attr_number(out, request_kind_name((enum request_kind)i), w->requests[i]);
    out_close(out);
    write_numbers(call);
    out_close(out);
}
