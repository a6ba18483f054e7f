/* SPDX-License-Identifier: Apache-2.0 */
/* The option --sifgate-reason=TEXT: recorded with the decision, never loosens anything. */
#ifndef SIFGATE_REASON_H
#define SIFGATE_REASON_H

#include <stdint.h>

#include <slurm/spank.h>

/* Registers the option; needed in slurm_spank_init of every context that should know it. Returns 0 or -1. */
int reason_register(spank_t spank);

/* The text that the user gave, empty where there is none. */
const char *reason_text(void);

#endif
