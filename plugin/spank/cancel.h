/* SPDX-License-Identifier: Apache-2.0 */
/* Whether Slurm has told this task to end while it waits: its first signal is lost otherwise, the next comes at KillWait. */
#ifndef SIFGATE_CANCEL_H
#define SIFGATE_CANCEL_H

#include <stdbool.h>

/* From here on SIGTERM is noted instead of what slurmstepd would do with it. */
void cancel_watch(void);

bool cancel_told(void);

/* Puts back what was there before. */
void cancel_unwatch(void);

#endif
