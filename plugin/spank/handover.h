/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_HANDOVER_H
#define SIFGATE_HANDOVER_H

#include <stdint.h>

#include <slurm/spank.h>

/*
 * Hands command line and directory of this process to the prolog: SPANK_SIFGATE_ARGV (base64 of NUL-ended words),
 * SPANK_SIFGATE_CWD (base64) and, where words were left out, SPANK_SIFGATE_TRUNCATED=1. A hint: failures are silent.
 */
void handover(spank_t spank);

#endif
