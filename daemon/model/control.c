#include "model/control.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

void control_find_offer(struct control_find *find, const char *id)
{
    if (!strstr(id, find->part))
        return;
    if (find->n < ARRAY_SIZE(find->found))
        snprintf(find->found[find->n], sizeof(find->found[0]), "%s", id);
    find->n++;
}
