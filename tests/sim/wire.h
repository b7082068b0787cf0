/* What a spoil is; inside of wire.c, apart so that the table reads alone. */
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
