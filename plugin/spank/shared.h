/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One answer per node and step: memory that all tasks of the step inherit. The first task asks while the others wait;
 * should it die while asking, the next one asks again.
 */
#ifndef SIFGATE_SHARED_H
#define SIFGATE_SHARED_H

#include <stdbool.h>

struct shared;

enum shared_turn {
	SHARED_ASK,	/* this process asks, then calls shared_settle() */
	SHARED_ALLOW,
	SHARED_REFUSE,
	SHARED_STUCK,	/* who asks never came back */
};

/* Returns memory for one step, or NULL. */
struct shared *shared_create(void);

/* Says what this process has to do, after at most `wait_ms`. */
enum shared_turn shared_enter(struct shared *shared, unsigned wait_ms);

void shared_settle(struct shared *shared, bool refused);

#endif
