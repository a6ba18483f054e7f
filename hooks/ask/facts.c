/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include "foreign.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ranks[] = {"SLURM_PROCID", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"};

/* In a user namespace (rootless podman) uid 0 is the user himself; the agent sees who it really is. */
static bool is_root_of_node(void)
{
	const uid_t nobody = 65534;

	return geteuid() == 0 && !foreign_may_be_root(nobody);
}

void facts_read(const struct options *options, struct facts *facts)
{
	memset(facts, 0, sizeof(*facts));
	if (!options_number(options->job, UINT_MAX, &facts->job))
		(void)options_number(getenv("SLURM_JOB_ID"), UINT_MAX, &facts->job);
	facts->has_rank = options_number(options->rank, UINT_MAX, &facts->rank);
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]) && !facts->has_rank; i++)
		facts->has_rank = options_number(getenv(ranks[i]), UINT_MAX, &facts->rank);
}

void facts_add(const struct options *options, const struct facts *facts, struct wire_writer *ask)
{
	unsigned step;
	char cwd[PATH_MAX];

	if (facts->job != 0 && (options->job != NULL || !is_root_of_node()))
		wire_number(ask, "job", facts->job);
	if (options_number(options->step, UINT_MAX, &step))
		wire_number(ask, "step", step);
	if (facts->has_rank)
		wire_number(ask, "rank", facts->rank);
	if (options->cwd != NULL)
		wire_string(ask, "cwd", options->cwd);
	else if (getcwd(cwd, sizeof(cwd)) != NULL)
		wire_string(ask, "cwd", cwd);
}
