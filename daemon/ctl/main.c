/* jobclonectl: the operator's command. */
#include <getopt.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/commands.h"
#include "io/std_fds.h"

#define COMMANDS_MAX 32

static int say_unknown(const char *name)
{
    const char *names[COMMANDS_MAX];
    size_t n = 0;
    for (const struct command *command = commands; command->name && n < COMMANDS_MAX; command++)
        names[n++] = command->name;
    const char *near = text_nearest(name, names, n);
    if (near)
        return command_wrong("there is no command \"%s\"; did you mean \"%s\"?", name, near);
    return command_wrong("there is no command \"%s\"", name);
}

/* Options before the command. True when there is nothing left to do. */
static bool parse(int argc, char **argv, struct ctl *ctl, int *ret_code)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    opterr = 0;
    *ret_code = CTL_OK;
    for (int option; (option = getopt_long(argc, argv, "+:", options, NULL)) != -1;) {
        if (option == 's') {
            ctl->socket = optarg;
        } else if (option == 'j') {
            ctl->json = true;
        } else if (option == 'h') {
            *ret_code = command_help();
            return true;
        } else if (option == 'v') {
            puts("jobclonectl " JOBCLONE_VERSION);
            return true;
        } else {
            *ret_code = command_wrong(option == ':' ? "option \"%s\" needs a value" : "unknown option \"%s\"",
                                      argv[optind - 1]);
            return true;
        }
    }
    return false;
}

static int carry_out(int argc, char **argv)
{
    struct ctl ctl = {.socket = CTL_SOCKET_DEFAULT};
    int code;
    if (parse(argc, argv, &ctl, &code))
        return code;
    if (optind >= argc)
        return command_wrong("no command is given");
    const struct command *command = command_find(argv[optind]);
    if (!command)
        return say_unknown(argv[optind]);
    if (!command->run)
        return command_wrong("\"%s\" is not supported by this version", command->name);
    int at = optind;
    code = command_parse(command, argc - at, argv + at, &ctl);
    if (code != CTL_OK)
        return code;
    return ctl.help ? command_help() : command->run(&ctl);
}

int main(int argc, char **argv)
{
    std_fds_take();
    setlocale(LC_CTYPE, ""); /* how wide a character is on the terminal */
    int code = carry_out(argc, argv);
    if (fflush(stdout) != 0)
        return command_wrong("the answer cannot be written to standard output");
    return code;
}
