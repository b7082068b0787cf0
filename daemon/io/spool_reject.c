/* rejected/: plans that are not valid with their errors beside, and notes about what
 * was left untouched in the spool. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "base/text.h"
#include "base/ulid.h"
#include "io/spool_parts.h"

#define ERRORS ".errors.txt"

static bool is_there(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Its own name, also where the same file was rejected before; else with the id. */
static void choose_name(int folder, const struct spool_take *take, char ret[SPOOL_NAME_SIZE])
{
    char sibling[SPOOL_NAME_SIZE];
    spool_name_sibling(take->name, sibling);
    bool free_name = !is_there(folder, sibling) &&
                     (!is_there(folder, take->name) || spool_file_equals(folder, take->name, &take->bytes));
    if (free_name)
        snprintf(ret, SPOOL_NAME_SIZE, "%s", take->name);
    else
        spool_name_with_id(take->name, take->id, ret);
}

void spool_reject(struct spool_batch *batch, struct spool_take *take, const struct diag *diag)
{
    char name[SPOOL_NAME_SIZE], errors[SPOOL_NAME_SIZE];
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    if (stream != NULL) {
        diag_print(diag, stream);
        if (fclose(stream) != 0)
            len = 0;
    }
    choose_name(batch->folder, take, name);
    spool_name_beside(name, ERRORS, errors);
    /* the errors first: whoever sees the plan there finds them */
    take->errors = spool_batch_add(batch, take->id, errors, text, text != NULL ? len : 0);
    take->copy = spool_batch_add(batch, take->id, name, buf_str(&take->bytes), take->bytes.len);
    take->outcome = SPOOL_REJECTED;
    free(take->text);
    take->text = strdup(errors);
}

/* The errors of a rejected plan of the same name are not written over. */
static void note_name(int rejected, const char *name, char ret[SPOOL_NAME_SIZE])
{
    char sibling[SPOOL_NAME_SIZE];
    spool_name_sibling(name, sibling);
    if (!is_there(rejected, name) && !is_there(rejected, sibling))
        spool_name_beside(name, ERRORS, ret);
    else
        snprintf(ret, SPOOL_NAME_SIZE, "%.*s" ERRORS, (int)(NAME_MAX - strlen(ERRORS)), name);
}

void spool_note_write(const struct spool_folders *folders, const char *name, const char *text)
{
    char note[SPOOL_NAME_SIZE];
    struct spool_batch batch;
    struct buf line = BUF_INIT(64 * 1024);
    text_escape(&line, name);
    buf_printf(&line, ": %s; it was left where it is, untouched\n", text);
    note_name(folders->rejected, name, note);
    if (spool_batch_init(&batch, folders->rejected) == 0) {
        spool_batch_add(&batch, "note", note, buf_str(&line), line.len);
        spool_batch_write(&batch); /* a help only: the log has it as well */
    }
    spool_batch_done(&batch);
    buf_done(&line);
}

void spool_note_remove(const struct spool_folders *folders, const char *name)
{
    char note[SPOOL_NAME_SIZE];
    note_name(folders->rejected, name, note);
    unlinkat(folders->rejected, note, 0);
}
