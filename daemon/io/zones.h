/* Time zones as the system has them, by GLib's GTimeZone, as values for model/zone. The variable TZ
 * is read for the system's own zone and never changed. */
#pragma once

struct arena;
struct zone;

/* Reads the rules of a zone, or of the system's own (TZ, else /etc/localtime) when `name` is
 * NULL. They know the changes of the years 2000 to 2037 (as the system's files do); all memory comes from the
 * arena. 0; -EINVAL when the name cannot be one; -ENOENT when there is no such zone; -ENOMEM. */
int zones_find(const char *name, struct arena *arena, struct zone *ret);

/* The known name that is most like this one; it lives in the arena. NULL when none is near. */
const char *zones_near(const char *name, struct arena *arena);
