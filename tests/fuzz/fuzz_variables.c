/* Texts with variables: filling in the source's name at once, or later over what was
 * left for later, gives the same. Input: text, value of a column, name of the source,
 * with zeros between them. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/text.h"
#include "codec/variables.h"
#include "codec/yaml_node.h"

#define TEXT_BYTES ((size_t)1 << 20)

static void expand(const struct template *template, const char *cell, const char *source)
{
    const char *const cells[] = {cell};
    struct values now = {.cells = cells, .index = 7, .source_name = source}, later = now;
    struct buf at_once = BUF_INIT(TEXT_BYTES), left = BUF_INIT(TEXT_BYTES), filled = BUF_INIT(TEXT_BYTES);
    later.late = true;
    int a = template_expand(template, &now, &at_once), b = template_expand(template, &later, &left);
    if (b == 0)
        b = variables_fill_source(buf_str(&left), source, &filled);
    if (a == 0 && b == 0 && strcmp(buf_str(&at_once), buf_str(&filled)) != 0)
        abort();
    buf_done(&at_once);
    buf_done(&left);
    buf_done(&filled);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const columns[] = {"a"};
    const struct scope scope = {.plan_name = "plan ${a}",
                                .accepted_ms = 1795442400000,
                                .for_each = true,
                                .columns = columns,
                                .n_columns = 1,
                                .source = true};
    char *texts = malloc(len + 3); /* three strings, whatever comes */
    struct arena *arena = arena_new();
    struct diag diag = DIAG_INIT;
    if (texts && arena) {
        memcpy(texts, data, len);
        memset(texts + len, 0, 3);
        const char *cell = texts + strlen(texts) + 1;
        const char *source = cell < texts + len ? cell + strlen(cell) + 1 : cell;
        struct yaml_node node = {.line = 1, .column = 1, .file = "plan.yaml", .text = texts};
        struct template template;
        if (text_xml_valid(texts) && template_compile(&node, &scope, arena, &template, &diag) == 0)
            expand(&template, cell, source);
    }
    diag_done(&diag);
    arena_free(arena);
    free(texts);
    return 0;
}
