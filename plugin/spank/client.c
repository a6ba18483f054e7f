/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srun, sbatch, salloc: the option, and the command line for the prolog, which Slurm tells neither argv nor image.
 * What is handed over is a hint that the user could forge; the decision is made in slurmstepd. Told is what it would be.
 */
#include "args.h"
#include "context.h"
#include "foresight.h"
#include "handover.h"
#include "reason.h"

static struct args args;

int client_init(spank_t spank, int count, char **values)
{
	args_parse(count, values, &args);
	if (args.problem[0] != '\0') {
		slurm_error("sifgate: %s", args.problem);
		return -1;
	}
	foresight_prepare(args.socket);
	return reason_register(spank);
}

int client_init_post_opt(spank_t spank)
{
	handover(spank);
	foresight_tell(args.socket, reason_text());
	return 0;
}
