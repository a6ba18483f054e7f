/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_GUARD_TRUSTFILE_H
#define SIFGATE_GUARD_TRUSTFILE_H

#include <stddef.h>
#include <stdio.h>

/* Opens a small regular file that only root (or who runs this, in tests) can change, nor a directory above it; the
 * caller closes it. Returns NULL after writing into `problem`, with errno ENOENT where there is none. */
FILE *trustfile_open(const char *path, char *problem, size_t size);

#endif
