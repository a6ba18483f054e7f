/* SPDX-License-Identifier: Apache-2.0 */
/* The processes below the watchdog. Each has only the descriptors that it works with, and dies with the watchdog. */
#ifndef SIFGATE_GUARD_CREW_H
#define SIFGATE_GUARD_CREW_H

#include "abilities.h"

struct crew {
	int control;		/* to the responder; -1: nobody works */
	pid_t responder;
	pid_t scout;
	pid_t askers[ASKERS_MAX];
	unsigned asker_count;
};

/* Starts scout and askers, then the responder: before there are marks. Returns false where that cannot be. */
bool crew_start(struct crew *crew, const struct config *config, const struct features *features);

/* Kills everybody. What cannot die (an open that hangs in the kernel) is not waited for. */
void crew_end(struct crew *crew);

void crew_kill_asker(const struct crew *crew, unsigned asker);

/* Starts another asker in place of the one that has ended, and gives its socket to the responder. */
void crew_replace_asker(struct crew *crew, const struct config *config, pid_t ended);

#endif
