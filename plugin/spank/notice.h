/* SPDX-License-Identifier: Apache-2.0 */
/* What the user reads on his terminal, unprefixed, through the standard error of his task. */
#ifndef SIFGATE_NOTICE_H
#define SIFGATE_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes text and a newline, control characters as '?'. */
void notice_print(const char *text, size_t length);

/* Writes the first line of a notice with this node's name in it: for the nodes of a step beside the first. */
void notice_print_line(const char *text);

/* True for the first call for this job and image on this node; `socket` names the agent's directory, where marks are
 * kept. Where none can be kept the answer is true: twice is better than never. */
bool notice_is_first(const char *socket, uint32_t job, const char *image);

#endif
