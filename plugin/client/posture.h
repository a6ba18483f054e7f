/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shim obeys when no agent answers: the flat file that the agent writes from the policy (docs/protocol.md,
 * section 1). A file that anybody but root could have written counts for nothing: the default is to allow and say so.
 */
#ifndef SIFGATE_POSTURE_H
#define SIFGATE_POSTURE_H

#include "action.h"

#define POSTURE_PATH "/etc/sifgate/posture"

struct posture {
	enum action agent_unreachable;
	unsigned scan_wait_ms;	/* how long a launch may wait for a scan */
	char contact[128];
	char problem[192];	/* why the file was not believed; empty: it was */
};

/* Fills `posture` from the file, or with the defaults and a `problem`. Never fails, allocates nothing that stays. */
void posture_read(const char *path, struct posture *posture);

#endif
