/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_GUARD_STATEFILE_H
#define SIFGATE_GUARD_STATEFILE_H

#include "config.h"

/* Writes how things are as `key value` lines, for `sifgate guard status` and doctor: in one piece, or not at all. */
void statefile_write(const struct config *config, const struct pulse *pulse, bool ready, uint64_t restarts);

void statefile_remove(const struct config *config);

#endif
