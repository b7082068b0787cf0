/* Opening what lies beneath a folder, wherever a path that somebody else gave would
 * lead. */
#pragma once

#include <stdbool.h>

/* Opens for reading; never waits, whatever it is. With `links` symbolic links are followed as long as they
 * stay beneath; where the kernel's openat2 is not to be had (a sandbox forbids it) none is. A descriptor;
 * -EXDEV for what leads out, -ELOOP for a link that is not followed, or another negative errno. */
int open_beneath(int folder, const char *path, bool links);
