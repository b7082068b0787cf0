/* Replies as text, in whatever format they came; shared by the tests of the
 * formats, which define FORMAT (api_xml, api_json) before. Comes behind
 * <cmocka.h>. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/api.h"

static void add(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, " %s=", name);
    if (!value) {
        buf_add_str(out, "-");
        return;
    }
    buf_add_char(out, '[');
    text_escape(out, value);
    buf_add_char(out, ']');
}

static int dump_task(const struct api_task *t, void *data)
{
    static const char *const states[] = {"running", "operation-finished", "finished", "other"};
    buf_add_str(data, "task");
    add(data, "id", t->id);
    buf_printf(data, " %s", states[t->state]);
    add(data, "operation", t->operation);
    buf_printf(data, " result=%s", !t->has_result ? "none" : t->success ? "good" : "bad");
    add(data, "message", t->message);
    add(data, "job", t->job_id);
    add(data, "name", t->job_name);
    return buf_add_char(data, '\n');
}

static int dump_entity(const struct api_entity *e, void *data)
{
    static const char *const kinds[] = {"other", "job", "repository", "server"};
    buf_printf(data, "%s %s", kinds[e->kind], e->whole ? "whole" : "reference");
    add(data, "id", e->id);
    add(data, "uid", e->uid);
    add(data, "name", e->name);
    add(data, "server", e->server_id);
    add(data, "server-name", e->server_name);
    if (e->whole) {
        add(data, "type", e->job_type);
        add(data, "description", e->description);
        buf_printf(data, " clone=%s", e->can_clone ? "yes" : "no");
    }
    return buf_add_char(data, '\n');
}

static void dump_doc(const struct api_doc *d, struct buf *out)
{
    static const char *const kinds[] = {"empty", "error", "logon", "task",   "tasks",
                                        "query", "refs",  "list",  "entity", "other"};
    buf_printf(out, "doc %s", kinds[d->kind]);
    if (d->kind == API_DOC_ERROR) {
        buf_printf(out, " status=%d", d->error_status);
        add(out, "message", d->error_message);
    }
    if (d->kind == API_DOC_LOGON) {
        add(out, "session", d->session_id);
        buf_printf(out, " jobs=%s", d->lists_jobs ? "yes" : "no");
    }
    if (d->paging.given)
        buf_printf(out, " page=%u size=%u pages=%u next=%s", d->paging.page, d->paging.page_size,
                   d->paging.pages, d->paging.has_next ? "yes" : "no");
    buf_add_char(out, '\n');
}

static const struct api_handlers dumpers = {.on_task = dump_task, .on_entity = dump_entity};

/* Reads in pieces of 1 to `piece` bytes (`seed` 0: exactly that many), each in
 * memory of its own so that reading past it is seen. */
static int read_pieces(struct bytes text, size_t piece, unsigned seed, struct buf *out)
{
    struct api_doc doc;
    struct api_reader *reader = FORMAT.reader_new(&dumpers, out);
    int r = 0;
    assert_non_null(reader);
    for (size_t i = 0, n; i < text.len && r == 0; i += n) {
        n = seed ? 1 + (size_t)rand_r(&seed) % piece : piece;
        if (n > text.len - i)
            n = text.len - i;
        _cleanup_free_ char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, text.data + i, n);
        r = FORMAT.reader_feed(reader, copy, n);
    }
    int end = FORMAT.reader_end(reader, &doc);
    if (r < 0)
        assert_int_equal(end, r);
    else if (end == 0)
        dump_doc(&doc, out);
    FORMAT.reader_free(reader);
    return end;
}
