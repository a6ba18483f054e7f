/* SPDX-License-Identifier: Apache-2.0 */
/* What an event is about: the image that is to run, or the words that say so. */
#ifndef SIFGATE_GUARD_SUBJECT_H
#define SIFGATE_GUARD_SUBJECT_H

#include "config.h"
#include "process.h"

struct subject {
	const struct config *config;
	const struct work *work;
	struct process process;	/* the first of the launch, where runc shows a child of it */
	int pidfd;		/* of the event's process, or -1 */
	int event;		/* the file of the event */
	int64_t until_ms;
	char image[PATH_MAX];	/* empty: the process' words say it */
};

/* Returns whether there is something to ask about, and finds out what. May open what the user named, as the user. */
bool subject_find(struct subject *subject);

#endif
