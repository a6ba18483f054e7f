/* SPDX-License-Identifier: Apache-2.0 */
/* slurmd: says at the daemon's start what would be wrong at the first launch. Never fails: a node must come up. */
#include "../client/posture.h"
#include "args.h"
#include "context.h"

int slurmd_init(int count, char **values)
{
	struct args args;
	struct posture posture;

	args_parse(count, values, &args);
	if (args.problem[0] != '\0') {
		slurm_error("sifgate: %s", args.problem);
		return 0;
	}
	posture_read(args.posture, &posture);
	if (posture.problem[0] != '\0')
		slurm_info("sifgate: without an agent launches are allowed: %s", posture.problem);
	return 0;
}
