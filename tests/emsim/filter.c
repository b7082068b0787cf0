#include "filter.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 32

struct reader {
    struct filter *filter;
    const char *at;
    unsigned depth;
    int error;
};

static unsigned read_or(struct reader *reader);

static unsigned add_node(struct reader *reader, struct filter_node node)
{
    if (reader->filter->n >= FILTER_NODES_MAX) {
        reader->error = -EINVAL;
        return 0;
    }
    reader->filter->nodes[reader->filter->n] = node;
    return reader->filter->n++;
}

static void add_char(struct reader *reader, char c)
{
    int r = buf_add_char(&reader->filter->text, c);
    if (r < 0)
        reader->error = r == -ENOBUFS ? -EINVAL : r;
}

static size_t read_word(struct reader *reader, const char *stop)
{
    size_t start = reader->filter->text.len;
    /* spaces outside quotes vanish, as on the real server */
    for (; *reader->at && !strchr(stop, *reader->at); reader->at++)
        if (*reader->at != ' ')
            add_char(reader, *reader->at);
    if (reader->filter->text.len == start)
        reader->error = -EINVAL;
    add_char(reader, 0);
    return start;
}

/* After the opening quote; "" stands for one quote. */
static size_t read_quoted(struct reader *reader)
{
    size_t start = reader->filter->text.len;
    for (; *reader->at; reader->at++) {
        if (*reader->at == '"' && reader->at[1] == '"')
            reader->at++;
        else if (*reader->at == '"')
            break;
        add_char(reader, *reader->at);
    }
    if (*reader->at == '"')
        reader->at++;
    else
        reader->error = -EINVAL;
    add_char(reader, 0);
    return start;
}

static void skip_spaces(struct reader *reader)
{
    reader->at += strspn(reader->at, " ");
}

static enum filter_op read_op(struct reader *reader)
{
    static const char *const OPS[] = {"==", "!=", ">=", "<=", ">", "<"};
    for (unsigned i = 0; i < sizeof(OPS) / sizeof(OPS[0]); i++)
        if (strncmp(reader->at, OPS[i], strlen(OPS[i])) == 0) {
            reader->at += strlen(OPS[i]);
            return (enum filter_op)i;
        }
    reader->error = -EINVAL;
    return FILTER_EQ;
}

static unsigned read_term(struct reader *reader)
{
    skip_spaces(reader);
    if (*reader->at == '(') {
        reader->at++;
        if (++reader->depth > DEPTH_MAX)
            reader->error = -EINVAL;
        unsigned inner = reader->error ? 0 : read_or(reader);
        reader->depth--;
        skip_spaces(reader);
        if (*reader->at == ')')
            reader->at++;
        else
            reader->error = -EINVAL;
        return inner;
    }
    struct filter_node node = {.kind = FILTER_TERM};
    node.field = read_word(reader, "=!<>;,()\"");
    node.op = read_op(reader);
    skip_spaces(reader);
    if (*reader->at == '"') {
        reader->at++;
        node.value = read_quoted(reader);
    } else {
        node.value = read_word(reader, ";,()\"");
    }
    skip_spaces(reader);
    return add_node(reader, node);
}

static unsigned read_and(struct reader *reader)
{
    unsigned left = read_term(reader);
    while (!reader->error && *reader->at == ';') {
        reader->at++;
        unsigned right = read_term(reader);
        left = add_node(reader, (struct filter_node){.kind = FILTER_AND, .left = left, .right = right});
    }
    return left;
}

static unsigned read_or(struct reader *reader)
{
    unsigned left = read_and(reader);
    while (!reader->error && *reader->at == ',') {
        reader->at++;
        unsigned right = read_and(reader);
        left = add_node(reader, (struct filter_node){.kind = FILTER_OR, .left = left, .right = right});
    }
    return left;
}

int filter_parse(const char *text, struct filter *ret)
{
    *ret = (struct filter){.text = BUF_INIT(64 * 1024)};
    struct reader reader = {.filter = ret, .at = text};
    ret->root = read_or(&reader);
    if (!reader.error && *reader.at)
        reader.error = -EINVAL;
    if (reader.error)
        filter_done(ret);
    return reader.error;
}

void filter_done(struct filter *filter)
{
    buf_done(&filter->text);
    filter->n = 0;
}

static bool compare(enum filter_op op, int difference)
{
    switch (op) {
    case FILTER_EQ:
        return difference == 0;
    case FILTER_NE:
        return difference != 0;
    case FILTER_GE:
        return difference >= 0;
    case FILTER_LE:
        return difference <= 0;
    case FILTER_GT:
        return difference > 0;
    case FILTER_LT:
        return difference < 0;
    }
    return false;
}

/* Names and descriptions count letter case; words of the API do not. */
static int difference(const char *field, const char *have, const char *want)
{
    bool exact = strcasecmp(field, "Name") == 0 || strcasecmp(field, "Description") == 0;
    return exact ? strcmp(have, want) : strcasecmp(have, want);
}

static bool match(const struct filter *filter, unsigned index, filter_get *get, const void *object,
                  void *data)
{
    const struct filter_node *node = &filter->nodes[index];
    switch (node->kind) {
    case FILTER_AND:
        return match(filter, node->left, get, object, data) && match(filter, node->right, get, object, data);
    case FILTER_OR:
        return match(filter, node->left, get, object, data) || match(filter, node->right, get, object, data);
    case FILTER_TERM:
        break;
    }
    const char *field = filter->text.data + node->field;
    const char *have = get(object, field, data);
    return have && compare(node->op, difference(field, have, filter->text.data + node->value));
}

bool filter_match(const struct filter *filter, filter_get *get, const void *object, void *data)
{
    return !filter->n || match(filter, filter->root, get, object, data);
}

const char *filter_name(const struct filter *filter)
{
    for (unsigned i = filter->root; i < filter->n;) {
        const struct filter_node *node = &filter->nodes[i];
        const struct filter_node *term = node->kind == FILTER_AND ? &filter->nodes[node->right] : node;
        if (term->kind == FILTER_TERM && term->op == FILTER_EQ &&
            strcasecmp(filter->text.data + term->field, "Name") == 0)
            return filter->text.data + term->value;
        if (node->kind != FILTER_AND)
            return NULL;
        i = node->left;
    }
    return NULL;
}

bool filter_fields_known(const struct filter *filter, const char *const *fields, unsigned n)
{
    for (unsigned i = 0; i < filter->n; i++) {
        bool known = filter->nodes[i].kind != FILTER_TERM;
        for (unsigned k = 0; k < n && !known; k++)
            known = strcasecmp(filter->text.data + filter->nodes[i].field, fields[k]) == 0;
        if (!known)
            return false;
    }
    return true;
}
