/* A disk in memory, made known to SQLite as its default VFS. What was not synced
 * can be lost when its power is cut, and it can refuse to write. One disk per
 * process; SQLite's calls may come from any thread, one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a power cut leaves of the writes since the last sync of their file. */
enum disk_loss {
    DISK_FORGETS,  /* none */
    DISK_KEEPS,    /* all */
    DISK_REORDERS, /* some, as chance has it */
    DISK_TEARS,    /* of each write some sectors */
    DISK_LOSS_COUNT
};

enum disk_trouble {
    DISK_WELL,
    DISK_CUT,    /* power: from that call on nothing works, until disk_power_on */
    DISK_FULL,   /* writes are refused for want of space, the first after half of it was written */
    DISK_BROKEN, /* writes and syncs fail; what a failed sync should have kept is lost for good */
};

/* Registers the VFS and empties the disk. 0 or -ENOMEM. */
int disk_begin(uint64_t seed);

/* Asks for trouble at the at-th call from now on that changes the disk (1 is the
 * first; 0: never), for that many calls (0: until disk_trouble is called again). */
void disk_trouble(enum disk_trouble trouble, uint64_t at, uint64_t calls);

/* Calls that changed the disk since disk_trouble, and syncs among them. */
uint64_t disk_calls(void);
uint64_t disk_syncs(void);

/* Which calls the first n syncs were. */
void disk_sync_calls(uint64_t *ret, size_t n);

/* Has the trouble come? */
bool disk_troubled(void);

/* Cuts the power, if it is not cut already, and switches on again: what was not
 * synced is lost in that way. No file may be open. */
void disk_power_on(enum disk_loss loss);

/* Frees everything and takes the VFS back. */
void disk_end(void);
