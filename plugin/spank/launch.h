/* SPDX-License-Identifier: Apache-2.0 */
/* What slurmstepd knows of the step that is about to start, and the message that says it to the agent. */
#ifndef SIFGATE_LAUNCH_H
#define SIFGATE_LAUNCH_H

#include "../client/wire.h"
#include "identity.h"

#include <stdbool.h>
#include <stdint.h>

#include <slurm/spank.h>

#define LAUNCH_FOREIGN 3
#define LAUNCH_HET_MAX 128	/* MAX_HET_JOB_COMPS of Slurm */

struct launch {
	struct identity user;
	uint32_t job;
	uint32_t array;		/* id of the job array that the job belongs to, else its own */
	uint32_t step;
	uint32_t nodes;
	uint32_t node;		/* rank of this node in the step */
	uint32_t task;		/* of the whole step */
	uint32_t het_job;	/* the first component's job, as the job's environment says it: the user's word */
	uint32_t het_size;	/* how many components start together; 0: none but this one */
	int argc;
	char **argv;
	char **env;
	const char *foreign[LAUNCH_FOREIGN];	/* values of other plugins' options, in the order of launch.c */
};

/* Fills `launch`; returns -1 where Slurm does not say the essential. */
int launch_read(spank_t spank, struct launch *launch);

/* Keeps the directory of this process as the step's; called in user_init, since a task that joined the job's mount
 * namespace (job_container/tmpfs) stands in / until just before it starts. */
void launch_remember_cwd(void);

/* True for the steps that run nothing of a user's command line: the batch script itself, and the extern step. */
bool launch_is_batch(const struct launch *launch);
bool launch_is_extern(const struct launch *launch);

/* Writes `ask` for a step, or `prescan` with the head of its script for a batch step. */
void launch_ask(const struct launch *launch, const char *reason, unsigned deadline_ms, struct wire_writer *ask);

/* True where some word could start a container. Coarse on purpose: read only where no agent can look more closely. */
bool launch_names_runtime(const struct launch *launch);

#endif
