/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation with the agent: ask -> (open -> opened | pull -> opened | wait)* -> decision.
 *
 * Whatever the other side does, this ends: 2 s of silence, or the whole deadline, and the caller takes its posture.
 * A pull counts for neither clock. An agent that is busy with this user is asked again until the deadline.
 */
#ifndef SIFGATE_CONVERSE_H
#define SIFGATE_CONVERSE_H

#include "action.h"

#include <limits.h>

struct conversation {
	const char *socket;
	unsigned deadline_ms;	/* for the whole conversation, as told to the agent */
	/* Opens what the user named, with the user's ids. Returns a descriptor, which is closed here, or -errno. */
	int (*open_image)(void *context, const char *path, const char *cwd);
	/* Has the real runtime make a local file of `uri`, which is word `word` of the ask. Returns a descriptor, which is
	 * closed here, or -errno and a reason. NULL: this shim cannot, and does not say `can:pull`. */
	int (*pull)(void *context, const char *uri, unsigned word, char *reason, size_t size);
	/* Shows one line of progress; may be NULL. */
	void (*progress)(void *context, struct wire_text text);
	/* Says that nobody waits for the answer any more; asked after each turn and each signal. May be NULL. */
	bool (*abandoned)(void *context);
	void *context;
};

struct answer {
	bool decided;		/* false: nobody decided, take the posture; `failure` says why */
	bool abandoned;		/* nobody waits any more; not decided */
	enum action action;
	bool once;		/* show the notice once per job and image */
	bool local;		/* decided on a failure of this node: other nodes may not say it */
	bool quiet;		/* a warning that was shown in this job already: not again */
	unsigned word;		/* which `arg` is the image that was judged; 0: not to be said (argv[0] never is) */
	char *notice;		/* allocated, ended with NUL; NULL where there is none */
	char reference[32];
	char opened[PATH_MAX];	/* the first path that was opened; empty where none was */
	char failure[160];
};

/* Holds the conversation that begins with `ask`. The caller frees `answer` with answer_free(). */
void converse(const struct conversation *conversation, const struct wire_writer *ask, struct answer *answer);

void answer_free(struct answer *answer);

#endif
