#include "model/form.h"

#define ALL ((1u << CLONE_FORM_COUNT) - 1)

const char *form_name(enum clone_form form)
{
    switch (form) {
    case CLONE_FORM_EXAMPLE:
        return "in the order of the documented example";
    case CLONE_FORM_TABLE:
        return "in the order of the documented table";
    case CLONE_FORM_JSON:
    case CLONE_FORM_COUNT:
        break;
    }
    return "in JSON";
}

static bool was_refused(unsigned refused, enum clone_form form)
{
    return refused >> form & 1u;
}

enum clone_form form_pick(const struct form_memory *memory, uint64_t session, unsigned refused)
{
    enum clone_form form = memory->session == session ? memory->form : CLONE_FORM_EXAMPLE;
    for (int i = 0; i < CLONE_FORM_COUNT && was_refused(refused, form); i++)
        form = (form + 1) % CLONE_FORM_COUNT;
    return form;
}

bool form_left(const struct form_memory *memory, uint64_t session, unsigned refused)
{
    if (memory->session == session && memory->known)
        return !was_refused(refused, memory->form);
    return (refused & ALL) != ALL;
}

void form_accepted(struct form_memory *memory, uint64_t session, enum clone_form form)
{
    *memory = (struct form_memory){session, form, true};
}

void form_refused(struct form_memory *memory, uint64_t session, enum clone_form form)
{
    if (memory->session != session)
        *memory = (struct form_memory){.session = session};
    if (!memory->known && memory->form == form)
        memory->form = (form + 1) % CLONE_FORM_COUNT;
}
