/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

SPANK_PLUGIN(sifgate, 1)

int slurm_spank_init(spank_t spank, int count, char **values)
{
	switch (spank_context()) {
	case S_CTX_LOCAL:
	case S_CTX_ALLOCATOR:
		return client_init(spank, count, values);
	case S_CTX_SLURMD:
		return slurmd_init(count, values);
	case S_CTX_REMOTE:
		return stepd_init(spank, count, values);
	default:
		return 0;
	}
}

int slurm_spank_init_post_opt(spank_t spank, int count, char **values)
{
	(void)count;
	(void)values;
	switch (spank_context()) {
	case S_CTX_LOCAL:
	case S_CTX_ALLOCATOR:
		return client_init_post_opt(spank);
	default:
		return 0;
	}
}

int slurm_spank_user_init(spank_t spank, int count, char **values)
{
	(void)count;
	(void)values;
	return spank_context() == S_CTX_REMOTE ? stepd_user_init(spank) : 0;
}

int slurm_spank_task_init_privileged(spank_t spank, int count, char **values)
{
	(void)count;
	(void)values;
	return spank_context() == S_CTX_REMOTE ? stepd_task_init_privileged(spank) : 0;
}
