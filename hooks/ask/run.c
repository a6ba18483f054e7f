/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a runtime: sifgate-ask run --bundle DIR [--job N --step N --rank N] -- RUNTIME WORDS. Asks, then becomes
 * the runtime: environment, descriptors, signals and standard input as they were. What a bundle runs stands in its
 * config.json, which the agent reads as it does for a hook; --rootfs names the image of a runtime that reads no bundle.
 *
 * A site's hook could also be put into the bundle's config.json, but that belongs to the user until the runtime has
 * read it, and not every runtime that Slurm may start knows hooks. This line of oci.conf belongs to root.
 */
#include "modes.h"

#include "json.h"
#include "reply.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_NO_RUNTIME 127

/* Adds the state that a runtime would give its hook, as far as it is known before the runtime. */
static void add_state(const char *bundle, struct wire_writer *ask)
{
	char escaped[6 * PATH_MAX + 6];
	char state[6 * PATH_MAX + 128];

	json_escape(bundle, escaped, sizeof(escaped));
	(void)snprintf(state, sizeof(state), "{\"ociVersion\":\"1.0.2\",\"status\":\"creating\",\"bundle\":\"%s\"}", escaped);
	wire_string(ask, "state", state);
}

static bool is_refused(const struct caller *caller)
{
	struct question question = {
		.options = caller->options,
		.facts = caller->facts,
		.posture = caller->posture,
		.deadline_ms = caller->posture->scan_wait_ms,
		.voice = VOICE_OWN,
		.starts_container = true,
	};
	struct wire_writer ask = {0};

	wire_begin(&ask, "ask");
	wire_string(&ask, "door", "oci-hook");
	facts_add(caller->options, caller->facts, &ask);
	if (caller->options->bundle != NULL && strlen(caller->options->bundle) < PATH_MAX)
		add_state(caller->options->bundle, &ask);
	else if (caller->options->rootfs != NULL && caller->options->rootfs[0] != '\0')
		wire_string(&ask, "path", caller->options->rootfs);
	else
		wire_string(&ask, "truncated", "1");
	wire_number(&ask, "deadline_ms", question.deadline_ms);
	return reply_get(&question, &ask) != REPLY_GO;
}

int mode_run(const struct caller *caller)
{
	char **words = caller->options->words;

	if (words[0] == NULL) {
		(void)fprintf(stderr, "sifgate-ask: run: no runtime after --\n");
		return EXIT_USAGE;
	}
	if (is_refused(caller))
		return EXIT_REFUSED;
	(void)execvp(words[0], words);
	(void)fprintf(stderr, "sifgate-ask: %s: %s\n", words[0], strerror(errno));
	return EXIT_NO_RUNTIME;
}
