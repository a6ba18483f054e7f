/* SPDX-License-Identifier: Apache-2.0 */
/* A private directory for one pull, and its end. */
#ifndef SIFGATE_SCRATCH_H
#define SIFGATE_SCRATCH_H

#include <limits.h>

#define SCRATCH_IMAGE "image.sif"
#define SCRATCH_TEMPORARY "tmp"		/* a directory in it: what the runtime needs for a moment */

/* Makes a directory, and one in it, where the runtime itself keeps what it needs for a moment. Returns 0 or -errno. */
int scratch_make(char directory[PATH_MAX]);

/* Removes it with all that is in it, whatever modes an unpacked image has left there. */
void scratch_remove(const char *directory);

/*
 * Removes it when this process, whatever program it has become by then, is over: the runtimes open an image by its
 * name only, so a file that is in no cache must keep it until the launch has ended.
 */
void scratch_remove_later(const char *directory);

#endif
