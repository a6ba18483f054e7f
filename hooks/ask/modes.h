/* SPDX-License-Identifier: Apache-2.0 */
/* The callers: each mode reads what its caller hands over, asks, and returns the exit status that the caller knows. */
#ifndef SIFGATE_ASK_MODES_H
#define SIFGATE_ASK_MODES_H

#include "options.h"

#include "facts.h"
#include "posture.h"

#define EXIT_GO 0
#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define EXIT_UNDECIDED 3

struct caller {
	const struct options *options;
	const struct facts *facts;
	const struct posture *posture;
};

int mode_oci(const struct caller *caller);	/* an OCI runtime's hook: its state on standard input */
int mode_notice(const struct caller *caller);	/* the same at its start: says what was kept at its creation */
int mode_enroot(const struct caller *caller);	/* a hook of Enroot: its variables */
int mode_run(const struct caller *caller);	/* before a runtime that this becomes: `RunTimeRun` of Slurm's oci.conf */
int mode_submit(const struct caller *caller);	/* before a job exists: never waits */

#endif
