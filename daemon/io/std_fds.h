/* Standard input, output and error, which the caller may have closed. */
#pragma once

/* Takes those numbers that are free, so that no file, socket or database gets one: what is printed would go
 * into it, and libuv refuses to close it. To be called first. Reading or printing there fails as before. */
void std_fds_take(void);
