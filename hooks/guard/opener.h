/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a path as the judged process would: with its ids, below its root, in its mount namespace. A child does it: a
 * file system of the user may keep it for ever, and then it is killed.
 */
#ifndef SIFGATE_GUARD_OPENER_H
#define SIFGATE_GUARD_OPENER_H

#include "process.h"

/* Returns a descriptor, or -errno: -ETIMEDOUT where it was not open by `until_ms`. */
int opener_open(const struct process *process, const char *path, const char *cwd, int64_t until_ms);

#endif
