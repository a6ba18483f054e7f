/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include "environment.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ranks[] = {"SLURM_PROCID", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"};

/* Returns a small decimal number in a variable, or -1. */
static long number_of(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	long number;

	if (text == NULL || text[0] < '0' || text[0] > '9' || strlen(text) > 10)
		return -1;
	number = strtol(text, &end, 10);
	return *end == '\0' ? number : -1;
}

/* The highest: what mpirun starts in a batch script has a rank of its own, and the script's SLURM_PROCID, 0. */
static long highest_rank(void)
{
	long highest = -1;

	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
		long rank = number_of(ranks[i]);

		if (rank > highest)
			highest = rank;
	}
	return highest;
}

void launch_read(int count, char **words, char **environment, struct launch *launch)
{
	long rank = highest_rank();

	launch->words = words;
	launch->environment = environment;
	launch->count = (unsigned)count;
	launch->rank = rank > 0 ? rank : 0;
	launch->speaks = fcntl(STDERR_FILENO, F_GETFD) >= 0;	/* else a socket of ours may get this number */
}

static void add_facts(unsigned deadline_ms, struct wire_writer *ask)
{
	char cwd[PATH_MAX];
	long rank = highest_rank();
	long job = number_of("SLURM_JOB_ID");

	wire_begin(ask, "ask");
	wire_string(ask, "door", "wrapper");
	wire_string(ask, "can", "pull");
	wire_number(ask, "deadline_ms", deadline_ms);
	if (getcwd(cwd, sizeof(cwd)) != NULL)
		wire_string(ask, "cwd", cwd);
	if (rank >= 0)
		wire_number(ask, "rank", rank);
	if (job >= 0)
		wire_number(ask, "job", job);
}

void launch_ask(const struct launch *launch, unsigned deadline_ms, struct wire_writer *ask)
{
	add_facts(deadline_ms, ask);
	for (char **variable = launch->environment; *variable != NULL; variable++) {
		if (environment_is_read(*variable))
			wire_string(ask, "env", *variable);
	}
	for (char **word = launch->words; *word != NULL; word++)
		wire_string(ask, "arg", *word);
	if (!ask->broken)
		return;
	add_facts(deadline_ms, ask);
	wire_string(ask, "truncated", "1");
}
