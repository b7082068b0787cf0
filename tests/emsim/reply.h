/* Sends the answer of a call, as its fate wants it. */
#pragma once

#include <microhttpd.h>

#include "call.h"

/* `wait` sleeps for slow bodies. MHD_NO closes the connection without an answer. */
enum MHD_Result reply_send(struct call *call, void (*wait)(void *data, uint64_t ms), void *data);
