/* The tables of jobclone.db: their versions and the way from each to the next. */
#pragma once

#include <sqlite3.h>

#include "base/buf.h"

/* What jobclone.db says of itself ("jbcl"), so that a file of another program is not taken for it. */
#define STORE_APPLICATION_ID 0x6a62636c

/* The schema that this program writes (PRAGMA user_version). */
#define STORE_SCHEMA_VERSION 3

/* Brings the file up to STORE_SCHEMA_VERSION, each step in a transaction of its
 * own. 0; -EPROTO when a newer program wrote it; -EBADMSG when it is no file of
 * ours; other negative errno. `ret_error` gets a sentence naming `path`. */
int store_schema_apply(sqlite3 *db, const char *path, struct buf *ret_error);
