/* SPDX-License-Identifier: Apache-2.0 */
/* Which warnings were shown already. */
#ifndef SIFGATE_NOTICE_H
#define SIFGATE_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

/* True for the first call for this job and image on this node; `socket` names the agent's directory, where marks are
 * kept. Where none can be kept the answer is true: twice is better than never. */
bool notice_is_first(const char *socket, uint32_t job, const char *image);

#endif
