/* SPDX-License-Identifier: Apache-2.0 */
/* The process that is judged, as /proc shows it; it waits in the kernel meanwhile. */
#ifndef SIFGATE_GUARD_PROCESS_H
#define SIFGATE_GUARD_PROCESS_H

#include "words.h"

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_GROUPS 256u

struct process {
	int directory;		/* of /proc: stays that process's whatever becomes of its number */
	pid_t pid;
	pid_t parent;
	uid_t uid;		/* real; effective where that is root's: a daemon that acts for a user */
	uid_t owner;		/* who answers for it */
	uid_t euid;
	gid_t gid;
	gid_t groups[PROCESS_GROUPS];
	size_t group_count;
	unsigned terminal;	/* device number of its controlling terminal; 0: none */
	char cwd[PATH_MAX];
	struct words arguments;
	struct words environment;
};

/* Fills in everything; false where the process is gone. The caller ends it with process_close() in both cases. */
bool process_read(struct process *process, pid_t pid);

void process_close(struct process *process);

/* Returns the first process of this launch: the command line tool, where `process` is one of the starter's children. */
pid_t process_launch(const struct process *process);

/* Finds out who answers for the process; -1 where it is gone. */
int process_owner(pid_t pid, uid_t *owner);

#endif
