/* Reads the inventory (YAML): backup servers, repositories, jobs, users. */
#pragma once

#include "base/diag.h"
#include "world.h"

/* 0; -EINVAL with the reasons in `diag`; or another negative errno. */
int inventory_load(struct world *world, const char *path, struct diag *diag);
