/* What a spoil is; between wire.c and spoil.c, where the table of them is. */
#pragma once

#include "world.h"

struct spoil {
    const char *name;
    enum http_outcome outcome; /* not HTTP_ANSWERED: no answer comes */
    int status;                /* answered instead; 0: as served */
    const char *body;          /* sent instead */
    int64_t retry_after_ms;
    unsigned weight;    /* how often, against the others */
    bool after;         /* the request was carried out */
    bool slow;          /* the time-out of a minute passes */
    bool late;          /* a clone is carried out much later all the same */
    bool garbles;       /* the body ends somewhere */
    bool loses_session; /* just before */
};

/* The one that changes nothing is at place 0. */
const struct spoil *spoil_at(int place);
const struct spoil *spoil_draw(struct world *world);
