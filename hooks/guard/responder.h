/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only holder of the fanotify groups: one thread that waits for nothing but its descriptors. What it cannot answer
 * at once it hands to an asker, and answers by itself when the time is over.
 */
#ifndef SIFGATE_GUARD_RESPONDER_H
#define SIFGATE_GUARD_RESPONDER_H

#include "abilities.h"

struct staff {
	int control;		/* to the watchdog */
	int scout;
	int askers[ASKERS_MAX];
	pid_t pids[ASKERS_MAX];
};

/* Answers until the watchdog is gone. Never returns. */
_Noreturn void responder_run(const struct config *config, const struct features *features, const struct staff *staff);

#endif
