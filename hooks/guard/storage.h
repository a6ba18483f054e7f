/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file system may be marked whole. The kernel opens each file for us with root's credentials: where root may
 * not read what users may (squashed NFS, FUSE), it would answer `deny` by itself, to everybody.
 */
#ifndef SIFGATE_GUARD_STORAGE_H
#define SIFGATE_GUARD_STORAGE_H

#include "config.h"

/* Returns true where opens on the file system of the open directory can be answered: a local type, or one where the
 * self-test read the target's test file, of an ordinary user and of mode 0600, through a mark. Else says why not. */
bool storage_can_be_marked(int directory, const struct target *target, char *why, size_t size);

#endif
