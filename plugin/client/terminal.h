/* SPDX-License-Identifier: Apache-2.0 */
/* What the user reads on his terminal, unprefixed, through the standard error of his program. */
#ifndef SIFGATE_TERMINAL_H
#define SIFGATE_TERMINAL_H

#include <stddef.h>

/* Writes text and a newline, control characters as '?'. A reader that is gone or stuck loses it; nobody is held. */
void terminal_print(const char *text, size_t length);

/* Writes the first line of a notice with this node's name in it: for the nodes of a step beside the first. */
void terminal_print_line(const char *text);

#endif
