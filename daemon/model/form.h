/* How the clone body of an immediate copy is written. The documentation gives two
 * orders of its elements in XML; in JSON there is none (wire reference 3.1). A
 * server that takes one form refuses the others with 400, which means that nothing
 * was made, but a 400 may have any other reason too. So every item may be tried
 * once in each form until one was accepted in this session; then a 400 is final. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum clone_form {
    CLONE_FORM_EXAMPLE, /* XML in the order of the documented example */
    CLONE_FORM_TABLE,   /* XML in the order of the documented table */
    CLONE_FORM_JSON,
    CLONE_FORM_COUNT
};

/* What is known of a server; all zero: nothing. */
struct form_memory {
    uint64_t session;     /* serial of the session in which it was seen */
    enum clone_form form; /* the one to begin with */
    bool known;           /* and it was accepted */
};

/* For people: "in the order of the documented example". */
const char *form_name(enum clone_form form);

/* The form to be sent, of those that `refused` (a bit for each form) leaves. */
enum clone_form form_pick(const struct form_memory *memory, uint64_t session, unsigned refused);

/* True when another try makes sense for what was refused in these forms. */
bool form_left(const struct form_memory *memory, uint64_t session, unsigned refused);

void form_accepted(struct form_memory *memory, uint64_t session, enum clone_form form);

/* Others begin with the next one then. */
void form_refused(struct form_memory *memory, uint64_t session, enum clone_form form);
