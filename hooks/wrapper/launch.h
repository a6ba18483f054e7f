/* SPDX-License-Identifier: Apache-2.0 */
/* What is about to be run, and the question about it. */
#ifndef SIFGATE_LAUNCH_H
#define SIFGATE_LAUNCH_H

#include "wire.h"

struct launch {
	char **words;		/* argv, ended with NULL */
	char **environment;
	unsigned count;
	long rank;		/* of this process in its parallel program; 0 also where it has none */
	bool speaks;		/* there is a standard error to speak to */
};

void launch_read(int count, char **words, char **environment, struct launch *launch);

/* Writes the `ask`; one that is too long says so (`truncated`). */
void launch_ask(const struct launch *launch, unsigned deadline_ms, struct wire_writer *ask);

#endif
