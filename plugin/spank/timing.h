/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin adds to a launch, in its own clock stamps: `timing=FILE` in plugstack.conf, for the bench. */
#ifndef SIFGATE_TIMING_H
#define SIFGATE_TIMING_H

#include "launch.h"

enum timing_part { TIMING_USER_INIT, TIMING_TASK };

void timing_start(void);
void timing_stop(enum timing_part part);

/* Appends "job.step task user_init_us task_init_privileged_us" to `path`; does nothing for an empty path. */
void timing_write(const char *path, const struct launch *launch);

#endif
