/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srun, sbatch, salloc: the option, and the command line for the prolog, which Slurm tells neither argv nor image.
 * What is handed over is a hint that the user could forge; the decision is made in slurmstepd.
 */
#include "args.h"
#include "context.h"
#include "handover.h"
#include "reason.h"

int client_init(spank_t spank, int count, char **values)
{
	struct args args;

	args_parse(count, values, &args);
	if (args.problem[0] != '\0') {
		slurm_error("sifgate: %s", args.problem);
		return -1;
	}
	return reason_register(spank);
}

int client_init_post_opt(spank_t spank)
{
	handover(spank);
	return 0;
}
