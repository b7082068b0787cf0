/* A list that is read page by page: which pages there are, which have been read, and whether it must be read
 * once more. */
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"

#define SHIFT_MS 10000 /* a list of several pages that took longer is read once more */

void listing_done(struct listing *list)
{
    free(list->page_state);
    *list = (struct listing){.reading = list->reading + 1}; /* what is still to come is of no use */
}

void listing_read(struct listing *list, uint64_t now_ms)
{
    free(list->page_state);
    list->page_state = NULL;
    list->pages = 0;
    list->wanted = true;
    list->read = list->first_asked = list->first_again = false;
    list->began_ms = now_ms;
    list->reading++;
}

bool listing_reads(const struct listing *list)
{
    return list->wanted && !list->read;
}

bool listing_may_have_shifted(const struct listing *list, uint64_t now_ms)
{
    return list->pages > 1 && !list->twice && now_ms - list->began_ms > SHIFT_MS;
}

unsigned listing_total(const struct api_paging *paging, unsigned page)
{
    unsigned total = paging->given && paging->pages > page ? paging->pages : page;
    return paging->given && paging->has_next && total == page ? page + 1 : total;
}

bool listing_more_pages(struct listing *list, unsigned total)
{
    if (total <= list->pages && list->page_state)
        return true;
    uint8_t *state = realloc(list->page_state, total);
    if (!state)
        return false;
    memset(state + list->pages, PAGE_UNASKED, total - list->pages);
    list->page_state = state;
    list->pages = total;
    return true;
}

bool listing_complete(const struct listing *list)
{
    for (unsigned i = 0; i < list->pages; i++)
        if (list->page_state[i] != PAGE_READ)
            return false;
    return true;
}

unsigned listing_unasked(const struct listing *list)
{
    for (unsigned i = 0; i < list->pages; i++) {
        unsigned page = list->twice ? list->pages - i : i + 1;
        if (list->page_state[page - 1] == PAGE_UNASKED)
            return page;
    }
    return 0;
}
