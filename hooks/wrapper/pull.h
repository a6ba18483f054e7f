/* SPDX-License-Identifier: Apache-2.0 */
/* `docker://…` and its like: the real runtime makes a local file of it, once a user, node and digest. */
#ifndef SIFGATE_PULL_H
#define SIFGATE_PULL_H

#include "judged.h"
#include "launch.h"

/*
 * Has `program` pull the image that word `word` of the launch names, with the user's flags, credentials and cache, and
 * remembers in `judged` what is run in its place. Returns a descriptor, or -errno with a reason. A signal that would
 * have ended the runtime ends this process, after everything that the pull has left is gone.
 */
int pull_image(const struct launch *launch, const char *program, const char *uri, unsigned word, struct judged *judged,
	       char *reason, size_t size);

#endif
