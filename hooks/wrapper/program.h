/* SPDX-License-Identifier: Apache-2.0 */
/* The real program, and the launches that are known without asking to be none of ours. */
#ifndef SIFGATE_PROGRAM_H
#define SIFGATE_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#define PROGRAM_SUFFIX ".real"

/* Writes the path of the program whose place this one takes: our own file name, ".real" added. Returns 0 or -errno. */
int program_find(char path[PATH_MAX]);

/*
 * Returns whether the program lies in its own place again, because the door was taken away while this launch waited;
 * then `path` is that place.
 */
bool program_is_back(char path[PATH_MAX]);

/*
 * Returns whether the launch was judged already, or has nothing that could be judged: inside a container of the
 * runtime, or started by the runtime itself (for its helpers it runs its own public name again).
 */
bool program_is_inner(const char *path);

/* Returns whether one of the words is a command that starts something; without an agent nobody can tell more. */
bool program_may_launch(char *const *words);

#endif
