/* SPDX-License-Identifier: Apache-2.0 */
/* The file in the user's own cache that a pulled image is a copy of. */
#ifndef SIFGATE_CACHED_H
#define SIFGATE_CACHED_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Returns a descriptor of the cached file that `image` is a copy of, and its path; -1 where there is none. */
int cached_find(int image, char path[PATH_MAX]);

/*
 * Returns whether `process`, a pull into `directory`, has come to copying a file of its cache there, and which: the
 * copy is of no use any more. (A warm image of some GB is so found in no time, and needs no room.)
 */
bool cached_is_copied(pid_t process, const char *directory, char path[PATH_MAX]);

#endif
