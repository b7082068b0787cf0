#include "spec.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "spec_fields.h"

#define AT(member) offsetof(struct clone_spec, member)

static const struct spec_kind KINDS[] = {
    {"BackupJobCloneInfo",
     "Backup",
     {{"JobName", AT(name), false},
      {"FolderName", AT(folder), false},
      {"RepositoryUid", AT(repository_uid), false},
      {"Description", AT(description), true}}},
    {"ReplicaJobCloneInfo",
     "Replica",
     {{"JobName", AT(name), false},
      {"VmSuffix", AT(vm_suffix), false},
      {"Description", AT(description), true}}},
    {"BackupCopyJobCloneInfo",
     "BackupCopy",
     {{"JobName", AT(name), false},
      {"JobFileName", AT(file), false},
      {"RepositoryUid", AT(repository_uid), false},
      {"Description", AT(description), true}}},
    {"ImmediateBackupCopyJobCloneInfo",
     "ImmediateBackupCopy",
     {{"JobName", AT(name), false},
      {"Description", AT(description), true},
      {"RepositoryUid", AT(repository_uid), false},
      {"JobFileName", AT(file), false}}},
};

/* The order of the documented table; ORDER_NONE: XML has none that would be taken. */
static const struct spec_kind TABLE_ORDER = {"ImmediateBackupCopyJobCloneInfo",
                                             "ImmediateBackupCopy",
                                             {{"JobName", AT(name), false},
                                              {"JobFileName", AT(file), false},
                                              {"RepositoryUid", AT(repository_uid), false},
                                              {"Description", AT(description), true}}};

const struct spec_kind *spec_kind_find(const char *element, enum immediate_order order)
{
    if (order != ORDER_EXAMPLE && strcmp(TABLE_ORDER.element, element) == 0)
        return order == ORDER_TABLE ? &TABLE_ORDER : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++)
        if (strcmp(KINDS[i].element, element) == 0)
            return &KINDS[i];
    return NULL;
}

void spec_take(struct spec *spec, const struct spec_field *field, char *value)
{
    spec->owned[spec->n_owned++] = value;
    const char *text = value;
    memcpy((char *)&spec->clone + field->offset, &text, sizeof(text));
}

void spec_done(struct spec *spec)
{
    for (unsigned i = 0; i < spec->n_owned; i++)
        free(spec->owned[i]);
    *spec = (struct spec){0};
}

const char *spec_check(const struct spec *spec)
{
    const struct clone_spec *c = &spec->clone;
    if (!*c->name)
        return "JobName is empty";
    if (!text_utf8_valid(c->name, strlen(c->name)) || text_utf16_len(c->name) > 50)
        return "JobName is longer than 50 characters";
    if ((c->folder && !*c->folder) || (c->file && !*c->file))
        return "The folder or file name is empty";
    return NULL;
}
