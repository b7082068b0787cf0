#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "routes.h"
#include "session.h"

static void answer(struct call *call, unsigned status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_INDENT(1)) : NULL;
    json_decref(body);
    call->plain_json = true;
    call->status = text ? status : 500;
    out_done(&call->out);
    out_init(&call->out, OUT_JSON, OUT_WRAP_USUAL);
    if (text)
        call->out.error = buf_add_str(&call->out.buf, text);
    free(text);
}

/* One key of the body; 0 or a negative errno. */
static int apply(struct world *world, const char *key, const json_t *value)
{
    if (strcmp(key, "session_expire_now") == 0 || strcmp(key, "restart_now") == 0) {
        if (json_is_true(value))
            session_close_all(world);
        return json_is_boolean(value) ? 0 : -1;
    }
    if (strcmp(key, "seed") == 0 && json_is_integer(value)) {
        world->rng.state = (uint64_t)json_integer_value(value);
        return 0;
    }
    _cleanup_free_ char *text =
        json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
    /* null: no limit */
    if (json_is_null(value) && strcmp(key, "faults_max") == 0) {
        world->behaviour.faults_max = UINT64_MAX;
        return 0;
    }
    return text ? behaviour_set(&world->behaviour, key, text) : -1;
}

/* All keys are tried on a copy first, so a wrong one changes nothing. */
static void set_behaviour(struct call *call)
{
    json_t *root = call->body.data ? json_loadb(call->body.data, call->body.len, 0, NULL) : NULL;
    if (!json_is_object(root)) {
        json_decref(root);
        answer(call, 400, json_pack("{s:s}", "error", "the body is no JSON object"));
        return;
    }
    struct behaviour before = call->world->behaviour;
    const char *key, *wrong = NULL;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        if (!wrong && apply(call->world, key, value) != 0)
            wrong = key;
    }
    if (wrong) {
        call->world->behaviour = before;
        answer(call, 400, json_pack("{s:s, s:s}", "error", "unknown key or bad value", "key", wrong));
    } else {
        answer(call, 200, json_pack("{s:b}", "ok", 1));
    }
    json_decref(root);
}

void route_sim(struct call *call)
{
    const char *what = call->n_path == 2 ? call->path[1] : "";
    if (strcmp(call->method, "POST") == 0 && strcmp(what, "behaviour") == 0) {
        set_behaviour(call);
    } else if (strcmp(call->method, "GET") == 0 && strcmp(what, "truth") == 0) {
        call->plain_json = true;
        out_done(&call->out);
        out_init(&call->out, OUT_JSON, OUT_WRAP_USUAL);
        truth_write(call);
    } else {
        answer(call, 404, json_pack("{s:s}", "error", "GET /sim/truth or POST /sim/behaviour"));
    }
}
