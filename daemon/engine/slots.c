#include "engine/parts.h"

void slots_add(struct run *run, struct slots *list, uint32_t slot)
{
    struct slot *s = &run->slots[slot];
    s->next = NO_SLOT;
    s->prev = list->n ? list->last : NO_SLOT;
    if (list->n)
        run->slots[list->last].next = slot;
    else
        list->first = slot;
    list->last = slot;
    list->n++;
}

void slots_remove(struct run *run, struct slots *list, uint32_t slot)
{
    struct slot *s = &run->slots[slot];
    if (s->prev != NO_SLOT)
        run->slots[s->prev].next = s->next;
    else
        list->first = s->next;
    if (s->next != NO_SLOT)
        run->slots[s->next].prev = s->prev;
    else
        list->last = s->prev;
    list->n--;
}

/* The list in which a slot waits, or NULL: QUEUED ones that are not bound or not
 * due wait in no list (the heap `due` holds the latter), but for those whose name
 * another run holds. */
static struct slots *slot_list(struct run *run, uint32_t slot)
{
    struct slot *s = &run->slots[slot];
    if (s->item.state != ITEM_QUEUED)
        return &run->in_state[s->item.state];
    if (s->waits)
        return &run->waiting;
    if (s->source == NO_SLOT || s->item.due_ms)
        return NULL;
    return &run->sources[s->source].ready;
}

void slot_enlist(struct run *run, uint32_t slot, uint64_t now_ms)
{
    struct slot *s = &run->slots[slot];
    if (s->item.state == ITEM_QUEUED && !s->waits && s->item.due_ms > now_ms &&
        heap_push(&run->due, s->item.due_ms, slot) == 0)
        return;
    if (s->item.state == ITEM_QUEUED)
        s->item.due_ms = 0;
    struct slots *list = slot_list(run, slot);
    if (list)
        slots_add(run, list, slot);
}

void slot_delist(struct run *run, uint32_t slot)
{
    struct slots *list = slot_list(run, slot);
    if (list)
        slots_remove(run, list, slot);
    run->slots[slot].waits = false;
}
