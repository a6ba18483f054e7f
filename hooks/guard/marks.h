/* SPDX-License-Identifier: Apache-2.0 */
/* The two groups of the responder and what they watch: runtimes' own files by inode, file systems as a whole. */
#ifndef SIFGATE_GUARD_MARKS_H
#define SIFGATE_GUARD_MARKS_H

#include "abilities.h"
#include "message.h"

#define MARKS_KNOWN 256u

struct known {
	uint64_t device;
	uint64_t inode;
	uint64_t mount;
	enum kind kind;
	char name[200];
};

struct marks {
	const struct features *features;
	int runtime;		/* fanotify descriptors; -1: none */
	int image;
	struct known known[MARKS_KNOWN];	/* files of an older package stay: they may run still */
	size_t count;
	size_t next;
};

/* Opens the groups that the level needs. Returns 0 or -errno. */
int marks_open(struct marks *marks, const struct features *features, enum level level);

/* Marks what the scout found (again: that costs nothing). */
void marks_take(struct marks *marks, const struct find *find, int fd);

/* Returns what the file behind an event of the runtime group is; false for none that is known. */
bool marks_kind(const struct marks *marks, int event, enum kind *kind);

/* Lets further opens of the file pass unseen until it is written to; undone by marks_notice(). */
bool marks_ignore(const struct marks *marks, int event);
void marks_notice(const struct marks *marks, int event);

/* Forgets all that is ignored. */
void marks_flush(const struct marks *marks);

#endif
