/* The item history of a state database, run through the item's machine again. */
#pragma once

/* Prints how many transitions of how many items the machine would make, and the
 * first that it would not. 0 when it would make all, 1 when not, 2 when the file
 * cannot be read. The daemon must not be running: it holds the file. */
int replay(const char *path);
