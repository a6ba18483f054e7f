/* SPDX-License-Identifier: Apache-2.0 */
/*
 * createRuntime (or prestart): runs in the host's namespaces before anything of the image, and refuses by ending with
 * anything but 0. Podman runs it in the user namespace of its user, crun and runc alone in the host's.
 */
#include "modes.h"

#include "intake.h"
#include "reply.h"

#include <unistd.h>

#define STATE_LIMIT (256u << 10)
#define STATE_WAIT_MS 2000u

int mode_oci(const struct caller *caller)
{
	struct question question = {
		.options = caller->options,
		.facts = caller->facts,
		.posture = caller->posture,
		.deadline_ms = caller->posture->scan_wait_ms,
		.voice = VOICE_RUNTIME,
		.starts_container = true,
	};
	struct wire_writer ask = {0};
	struct intake state;

	intake_read(STDIN_FILENO, STATE_LIMIT, STATE_WAIT_MS, &state);
	wire_begin(&ask, "ask");
	wire_string(&ask, "door", "oci-hook");
	facts_add(caller->options, caller->facts, &ask);
	if (state.whole)
		wire_bytes(&ask, "state", state.bytes, state.length);
	else	/* too long, or never ended: the image is unresolved, and the policy says what becomes of that */
		wire_string(&ask, "truncated", "1");
	wire_number(&ask, "deadline_ms", question.deadline_ms);
	intake_free(&state);
	return reply_get(&question, &ask) == REPLY_GO ? EXIT_GO : EXIT_REFUSED;
}
