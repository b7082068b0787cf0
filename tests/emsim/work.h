/* What the backup servers carry out: clones, deletions, collections. */
#pragma once

#include "world.h"

/* Each starts the work; 0 with its index in `works`, or -ENOMEM. The clone's
 * strings are copied. */
int work_clone(struct world *world, uint32_t session, uint32_t source, const struct clone_spec *spec,
               bool answer_lost, uint32_t *ret_work);
int work_delete(struct world *world, uint32_t session, uint32_t job, uint32_t *ret_work);
int work_collect(struct world *world, uint32_t session, uint32_t server, uint32_t *ret_work);

/* Takes the work to its next phase; for world_advance. */
int work_step(struct world *world, uint32_t work);
