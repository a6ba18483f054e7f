/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the user reads what a hook says. An OCI runtime keeps the standard error of its hooks to itself: crun drops it,
 * runc quotes it in its own error message and drops it on success. Both have the user's terminal as their own
 * standard error; podman reads instead the file after `--log` in the runtime's command line.
 */
#ifndef SIFGATE_ASK_VOICE_H
#define SIFGATE_ASK_VOICE_H

#include <stdbool.h>

enum voice {
	VOICE_OWN,		/* this program's standard error */
	VOICE_RUNTIME,		/* a hook: the runtime's as well */
};

/* Says a notice of several lines. `refused`: the runtime will fail, and tell of it in its own way too. */
void voice_say(enum voice voice, const char *text, bool refused);

#endif
