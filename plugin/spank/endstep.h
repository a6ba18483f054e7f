/* SPDX-License-Identifier: Apache-2.0 */
/* A node that refuses ends the whole step: no rank of it runs on while others were refused. */
#ifndef SIFGATE_ENDSTEP_H
#define SIFGATE_ENDSTEP_H

#include "launch.h"

/* Cancels the step through `scancel`, with all components of a heterogeneous one; does nothing for a plain step on one
 * node, which its own refusal ends. */
void endstep(const char *scancel, const struct launch *launch);

#endif
