/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files as the user does, from a process that is root: file-system ids and groups, for one thread, for a moment. */
#ifndef SIFGATE_IDENTITY_H
#define SIFGATE_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t *groups;		/* of Slurm's own list; not ours to free */
	size_t group_count;
};

/* Opens `path` (relative to the absolute `cwd`) for reading as the user. Returns a descriptor or -errno. */
int identity_open(const struct identity *identity, const char *path, const char *cwd);

#endif
