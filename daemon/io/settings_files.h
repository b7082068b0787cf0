/* Settings and passwords from the disk. */
#pragma once

struct buf;
struct diag;
struct server_settings;
struct settings;

/* Loads the main settings file and its drop-ins `FILE.d/[!.]*.yaml` in name order. 0 and the
 * settings (settings_free), in which ca_file and password_file are absolute; -EINVAL with messages
 * in diag (also when a file cannot be read); -ENOMEM. */
int settings_files_load(const char *path, struct settings **ret, struct diag *diag);

/* Reads a server's password: the credential in $CREDENTIALS_DIRECTORY, or the file, which is
 * refused when group or others can read it. Regular, at most 4096 bytes; one trailing newline is
 * dropped; empty or with NUL is refused. Returns 0 and a heap string, which the caller wipes with
 * explicit_bzero before freeing it; or a negative errno with a sentence that names path and
 * remedy added to ret_error. */
int settings_password(const struct server_settings *server, char **ret_password, struct buf *ret_error);
