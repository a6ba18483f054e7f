/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what is to be marked, again every second and whenever a mount changes: a package upgrade puts another inode
 * under the same name, a remount loses the mark. A process of its own: looking may hang, marking may not.
 */
#ifndef SIFGATE_GUARD_SCOUT_H
#define SIFGATE_GUARD_SCOUT_H

#include "config.h"
#include "abilities.h"

/* Sends finds until the other side is gone. Never returns. */
_Noreturn void scout_run(const struct config *config, const struct features *features, int socket);

/* Prints what would be marked and what is refused; returns how many targets of the chosen level can be. */
size_t scout_print(const struct config *config, const struct features *features, FILE *out);

#endif
