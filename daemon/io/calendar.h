/* Calendar expressions, evaluated by systemd itself: `systemd-analyze calendar` as a child
 * with nothing but TZ=UTC and the like in its environment, with a time limit and without a
 * shell. It gets expressions without their zone and counts in local times; model/zone turns
 * those into moments. Calls wait for the child (some 10 ms): the daemon makes them in the loop's
 * thread pool. Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;
struct schedule;
struct schedule_dues;

/* Is this an expression that can be used? 0; -EINVAL when it is none; -ENOENT when systemd-analyze is not
 * there, -ETIMEDOUT, -EPROTO when its answer is not understood, or another negative errno. `ret_problem` gets
 * words for people in all of these cases: what is wrong, and what to do. */
int calendar_check(const char *expression, struct buf *ret_problem);

/* Looks for due times after `base_ms` (wall times): the last that is not after `now_ms`, and the first
 * after both. Returns and says as calendar_check does. */
int calendar_dues(const struct schedule *schedule, int64_t base_ms, int64_t now_ms, struct schedule_dues *ret,
                  struct buf *ret_problem);

/* For tests: another program instead of systemd-analyze; NULL: the real one. */
void calendar_set_program(const char *path);
