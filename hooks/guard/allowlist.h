/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_GUARD_ALLOWLIST_H
#define SIFGATE_GUARD_ALLOWLIST_H

#include "config.h"
#include "process.h"

/* Returns whether the process runs one of the programs that may read images: the same inode as the file of that name
 * in the tree, owned by root and writable by nobody else. */
bool allowlist_holds(const struct config *config, const struct process *process);

#endif
