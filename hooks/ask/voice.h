/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the user reads what a hook says. An OCI runtime keeps the standard error of its hooks to itself: crun drops it,
 * runc quotes it in its own error message and drops it on success. Both have the user's terminal as their own standard
 * error. Under an engine (podman) nobody reads that while a container is created, so a warning is kept until the start.
 * An error is read from the file after `--log` in the runtime's command line, or from the runtime's standard error
 * where that file holds more than the runtime's own message (podman 5.4); so both get it.
 */
#ifndef SIFGATE_ASK_VOICE_H
#define SIFGATE_ASK_VOICE_H

enum voice {
	VOICE_OWN,		/* this program's standard error */
	VOICE_RUNTIME,		/* a hook: the runtime's as well */
};

enum saying {
	SAYING_PROGRESS,	/* of interest now or never */
	SAYING_WARNING,
	SAYING_REFUSAL,		/* the runtime will fail, and tell of it in its own way too */
};

void voice_say(enum voice voice, enum saying saying, const char *text);

/* Says the warning that was kept when this container was created; nothing where there is none. */
void voice_say_kept(void);

#endif
