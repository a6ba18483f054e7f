/* SPDX-License-Identifier: Apache-2.0 */
/* The callbacks of each context; dispatch.c chooses among them and does nothing else. */
#ifndef SIFGATE_CONTEXT_H
#define SIFGATE_CONTEXT_H

#include <stdint.h>

#include <slurm/spank.h>

int client_init(spank_t spank, int count, char **values);
int client_init_post_opt(spank_t spank);

int slurmd_init(int count, char **values);

int stepd_init(spank_t spank, int count, char **values);
int stepd_user_init(spank_t spank);
int stepd_task_init_privileged(spank_t spank);

#endif
