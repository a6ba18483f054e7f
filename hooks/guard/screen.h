/* SPDX-License-Identifier: Apache-2.0 */
/* The notice, on the terminal of the judged process: where its standard error is its controlling terminal, and there
 * only. Nothing of the user's is opened: the terminal is reached through our own /dev/pts, by its number. */
#ifndef SIFGATE_GUARD_SCREEN_H
#define SIFGATE_GUARD_SCREEN_H

#include "process.h"

/* Writes the text, control characters as '?'; nothing where there is no such terminal or it takes nothing now. */
void screen_print(const struct process *process, const char *text);

#endif
