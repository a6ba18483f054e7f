/* SPDX-License-Identifier: Apache-2.0 */
/* The file in the user's own cache that a pulled image is a copy of. */
#ifndef SIFGATE_CACHED_H
#define SIFGATE_CACHED_H

#include <limits.h>

/* Returns a descriptor of the cached file that `image` is a copy of, and its path; -1 where there is none. */
int cached_find(int image, char path[PATH_MAX]);

#endif
