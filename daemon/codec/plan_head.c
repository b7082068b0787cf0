/* The keys of a plan beside its clones. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "codec/plan_decoder.h"

#define DAY_MS UINT64_C(86400000)
#define NAME_MAX_UNITS 100
#define FAILURES_MAX 10000000
#define ATTEMPTS_MAX 1000
#define IN_FLIGHT_MAX 100000

static const char *keep(struct plan_decoder *decoder, const char *text)
{
    const char *copy = arena_str(decoder->plan->arena, text);
    if (!copy)
        decoder->error = -ENOMEM;
    return copy;
}

static void read_name(struct plan_decoder *decoder, const struct yaml_node *root)
{
    const char *name;
    const struct yaml_node *node = yaml_child(root, "name");
    if (!node) {
        yaml_say(decoder->diag, root, "\"name\" is missing; add a name for the plan, as in name: onboarding");
        return;
    }
    if (!yaml_get_text(root, "name", &name, decoder->diag))
        return;
    if (!*name || text_utf16_len(name) > NAME_MAX_UNITS)
        yaml_say(decoder->diag, node, "the plan's \"name\" must have 1 to %d characters; it has %zu",
                 NAME_MAX_UNITS, text_utf16_len(name));
    else if (strchr(name, '/') || text_has_control(name))
        yaml_say(decoder->diag, node,
                 "the plan's \"name\" must have no / and no control characters; remove them");
    else
        decoder->plan->name = keep(decoder, name);
}

static void check_server(struct plan_decoder *decoder, const struct yaml_node *node)
{
    const char *const *servers = decoder->options->servers;
    size_t n = 0;
    if (!servers)
        return;
    for (; servers[n]; n++)
        if (strcmp(servers[n], node->text) == 0)
            return;
    const char *near = text_nearest(node->text, servers, n);
    if (near)
        yaml_say(decoder->diag, node, "there is no server \"%s\"; did you mean \"%s\"?", node->text, near);
    else
        yaml_say(decoder->diag, node,
                 "there is no server \"%s\"; name one that the settings have under \"servers\"", node->text);
}

static void read_server(struct plan_decoder *decoder, const struct yaml_node *root)
{
    const char *server;
    const struct yaml_node *node = yaml_child(root, "server");
    if (!node) {
        yaml_say(decoder->diag, root,
                 "\"server\" is missing; name one that the settings have under \"servers\"");
        return;
    }
    if (!yaml_get_text(root, "server", &server, decoder->diag))
        return;
    decoder->plan->server = keep(decoder, server);
    if (!*server)
        yaml_say(decoder->diag, node,
                 "\"server\" is empty; name one that the settings have under \"servers\"");
    else
        check_server(decoder, node);
}

static void read_failures(struct plan_decoder *decoder, const struct yaml_node *root)
{
    static const char key[] = "stop_after_failures";
    const struct yaml_node *node = yaml_child(root, key);
    uint64_t number = 0;
    const char *text = node && node->kind == YAML_SCALAR ? node->text : "";
    size_t len = strlen(text);
    if (len == 0 || text[len - 1] != '%') {
        if (yaml_get_number(root, key, 1, FAILURES_MAX, &number, decoder->diag))
            decoder->plan->stop_failures = (unsigned)number;
        return;
    }
    for (size_t i = 0; i + 1 < len; i++)
        number =
            text[i] >= '0' && text[i] <= '9' && number <= 100 ? number * 10 + (uint64_t)(text[i] - '0') : 101;
    if (number < 1 || number > 100)
        yaml_say(decoder->diag, node, "\"%s\" must be a count, or a share from 1%% to 100%%", key);
    else
        decoder->plan->stop_percent = (unsigned)number;
}

/* A mapping of the plan with its keys checked, or NULL. */
static const struct yaml_node *section(struct plan_decoder *decoder, const struct yaml_node *root,
                                       const char *key, const char *const *keys)
{
    struct yaml_node *node;
    if (!yaml_get_mapping(root, key, &node, decoder->diag))
        return NULL;
    return yaml_check_keys(node, key, keys, decoder->diag) ? node : NULL;
}

static void read_retry(struct plan_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"attempts", "initial", "max", NULL};
    struct plan *plan = decoder->plan;
    const struct yaml_node *retry = section(decoder, root, "retry", keys);
    uint64_t attempts = plan->attempts;
    yaml_get_number(retry, "attempts", 1, ATTEMPTS_MAX, &attempts, decoder->diag);
    plan->attempts = (unsigned)attempts;
    yaml_get_duration(retry, "initial", 1, DAY_MS, &plan->retry_initial_ms, decoder->diag);
    bool given = yaml_get_duration(retry, "max", 1, DAY_MS, &plan->retry_max_ms, decoder->diag);
    if (plan->retry_initial_ms <= plan->retry_max_ms)
        return;
    if (given)
        yaml_say(decoder->diag, yaml_child(retry, "max"), "\"max\" is below \"initial\"; raise it");
    else
        plan->retry_max_ms = plan->retry_initial_ms;
}

static void read_timeouts(struct plan_decoder *decoder, const struct yaml_node *root)
{
    static const char *const keys[] = {"task", "run", NULL};
    const struct yaml_node *timeouts = section(decoder, root, "timeouts", keys);
    yaml_get_duration(timeouts, "task", 1, 30 * DAY_MS, &decoder->plan->task_timeout_ms, decoder->diag);
    yaml_get_duration(timeouts, "run", 1, 365 * DAY_MS, &decoder->plan->run_timeout_ms, decoder->diag);
}

void plan_head_decode(struct plan_decoder *decoder, const struct yaml_node *root)
{
    struct plan *plan = decoder->plan;
    const char *description;
    uint64_t in_flight;
    plan->attempts = 6;
    plan->retry_initial_ms = 2000;
    plan->retry_max_ms = 120000;
    plan->task_timeout_ms = 30 * 60000;
    yaml_check_version(root, decoder->diag);
    read_name(decoder, root);
    read_server(decoder, root);
    if (yaml_get_text(root, "description", &description, decoder->diag) && *description)
        plan->description = keep(decoder, description);
    plan_times_decode(decoder, root);
    if (yaml_get_number(root, "in_flight", 1, IN_FLIGHT_MAX, &in_flight, decoder->diag))
        plan->in_flight = (unsigned)in_flight;
    read_failures(decoder, root);
    read_retry(decoder, root);
    read_timeouts(decoder, root);
}
