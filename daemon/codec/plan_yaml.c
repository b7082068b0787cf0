#include "codec/plan_yaml.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "codec/plan_check.h"
#include "codec/plan_decoder.h"
#include "codec/variables.h"

#define NODES_PER_ITEM 12
#define NODES_BESIDE 4096
#define TEXT_BYTES (64 * 1024) /* one value after expansion */

static void read_root(struct plan_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"version",  "name",     "server",    "description",
                                       "schedule", "window",   "in_flight", "stop_after_failures",
                                       "retry",    "timeouts", "defaults",  "clones",
                                       NULL};
    if (!yaml_check_keys(root, "the plan", keys, decoder->diag))
        return;
    plan_head_decode(decoder, root);
    plan_clones_decode(decoder, root);
}

static int decode(struct plan_decoder *decoder, struct bytes text)
{
    const struct plan_yaml_options *options = decoder->options;
    struct yaml_limits limits = {.bytes = options->plan_bytes,
                                 .nodes = (size_t)options->plan_items * NODES_PER_ITEM + NODES_BESIDE};
    struct yaml_node *root;
    unsigned before = decoder->diag->count;
    decoder->plan->arena = arena_new();
    if (!decoder->plan->arena || !decoder->scratch)
        return -ENOMEM;
    decoder->plan->file = arena_str(decoder->plan->arena, options->file);
    int r = yaml_read(text, options->file, &limits, decoder->scratch, &root, decoder->diag);
    if (r == -ENOMEM || !root)
        return r;
    read_root(decoder, root); /* also behind a bad value: all messages in one go */
    if (decoder->error || !decoder->plan->file)
        return -ENOMEM;
    return decoder->diag->count > before ? -EINVAL : 0;
}

int plan_yaml_decode(struct bytes text, const struct plan_yaml_options *options, struct plan **ret_plan,
                     struct diag *diag)
{
    struct plan_decoder decoder = {
        .options = options, .diag = diag, .scratch = arena_new(), .text = BUF_INIT(TEXT_BYTES)};
    decoder.plan = calloc(1, sizeof(*decoder.plan));
    int r = decoder.plan ? decode(&decoder, text) : -ENOMEM;
    if (r < 0)
        plan_free(decoder.plan);
    else
        *ret_plan = decoder.plan;
    table_done(&decoder.names);
    table_done(&decoder.places);
    buf_done(&decoder.text);
    arena_free(decoder.scratch);
    return r;
}

/* ---- the second pass ---- */

static int say(struct arena *arena, const char *key, const char *problem, const char **ret_problem)
{
    _cleanup_(buf_done) struct buf message = BUF_INIT(TEXT_BYTES);
    if (buf_printf(&message, "\"%s\" %s", key, problem) < 0)
        return -ENOMEM;
    *ret_problem = arena_str(arena, buf_str(&message));
    return *ret_problem ? -EINVAL : -ENOMEM;
}

int plan_clone_fill_source(struct plan_clone *clone, const char *source_name, struct arena *arena,
                           const char **ret_problem)
{
    static const char *const keys[] = {"name", "folder", "file", "vm_suffix", "description"};
    const char **const fields[] = {&clone->name, &clone->folder, &clone->file, &clone->vm_suffix,
                                   &clone->description};
    const char *filled[ARRAY_SIZE(fields)] = {0};
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_BYTES), words = BUF_INIT(1024);
    if (!clone->late)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!*fields[i])
            continue;
        buf_reset(&text);
        int r = variables_fill_source(*fields[i], source_name, &text);
        if (r < 0)
            return r == -ENOBUFS ? say(arena, keys[i], "is too long; shorten it", ret_problem) : r;
        const char *value = buf_str(&text);
        /* the item's index is not known here: room for the longest there can be */
        const char *problem = i == 0   ? plan_name_problem(value, &words)
                              : i == 4 ? plan_description_problem(value, UINT32_MAX, &words)
                                       : plan_text_problem(value);
        if (problem)
            return say(arena, keys[i], problem, ret_problem);
        filled[i] = arena_intern(arena, value);
        if (!filled[i])
            return -ENOMEM;
    }
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        *fields[i] = filled[i];
    if (clone->description && !*clone->description)
        clone->description = NULL;
    clone->late = false;
    return 0;
}
