/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller's environment says of the launch: the job it belongs to and its place in a parallel program. */
#ifndef SIFGATE_ASK_FACTS_H
#define SIFGATE_ASK_FACTS_H

#include "wire.h"

#include "options.h"

struct facts {
	unsigned job;		/* 0: none known */
	unsigned rank;		/* 0 also where there is no parallel program */
	bool has_rank;
};

/* Reads options first, then the environment. Both are the user's words: for display, never for rights. */
void facts_read(const struct options *options, struct facts *facts);

/* Adds `job` and `rank`. To root's word the agent gives weight, and the environment of a process of root may still be
 * a user's (Sarus is setuid): root sends no job from the environment, the agent finds it by the cgroup. */
void facts_add(const struct options *options, const struct facts *facts, struct wire_writer *ask);

#endif
