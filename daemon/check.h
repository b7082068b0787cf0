/* jobcloned --check: what the settings name, looked at before anybody relies on it. */
#pragma once

struct settings;

/* Judges settings that were read from `config`: the password and the TLS files of every server. Says what is
 * wrong on standard error, or that all is well on standard output; the exit code. Nothing is sent. */
int check_run(const char *config, const struct settings *settings);
