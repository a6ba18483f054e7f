/* SPDX-License-Identifier: Apache-2.0 */
/* One program, run and waited for; a signal that would end this process waits until its traces are gone. */
#ifndef SIFGATE_CHILD_H
#define SIFGATE_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct child {
	/* Asked whenever `notices` can be read, and for a moment after: says that the program has done enough, and is
	 * killed. NULL: it runs to its end. */
	bool (*enough)(void *context, pid_t process);
	void *context;
	bool mute;	/* there is no standard error */
	int notices;	/* an inotify descriptor, or -1 */
	bool ran;	/* child_run() was here, and child_finish() has something to do */
	bool stopped;	/* it had done enough */
	int status;	/* as waitpid(2) tells it; -1: it was never started */
	int told;	/* the signal by which this process was told to end meanwhile; 0: none */
	sigset_t mask;	/* as it was before, and is again after child_finish() */
	sigset_t awaited;
	struct sigaction chld;
};

/*
 * Runs a program with its output on standard error, since standard output belongs to the launch, and with an empty
 * input unless `keeps_input`. Told to end, it gets SIGINT, on which the runtimes clean up, and is killed with all that
 * it started where that does not help. Signals stay put off until child_finish().
 */
void child_run(struct child *child, const char *program, const char *const *words, char *const *environment,
	       int keeps_input);

/* Takes signals as before again, and ends this process by the one that told it to. */
void child_finish(const struct child *child);

#endif
