/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_SUBMISSION_H
#define SIFGATE_SUBMISSION_H

/*
 * What is being submitted, found without asking Slurm, which tells a plugin neither argv nor script at this moment:
 * the words of this process and, for sbatch, the script: the first word that names a file with "#!", the text of
 * --wrap, or standard input, which stays as it is.
 */
#include "../client/wire.h"

/* Returns whether this process is an srun, sbatch or salloc that makes a job (an srun within one is judged at once). */
bool submission_makes_job(void);

/* Returns whether it is sbatch, whose user is gone when the job starts. */
bool submission_is_batch(void);

/* Copies what stands in the pipe that is sbatch's standard input, without emptying it; sbatch reads it before it calls
 * slurm_spank_init_post_opt. Does nothing elsewhere. */
void submission_peek(void);

/* Writes the ask of door `submit`; returns false where there is nothing to ask about. Opens what the user named, which
 * may hang: to be called in a child. */
bool submission_ask(const char *reason, unsigned deadline_ms, struct wire_writer *ask);

#endif
