/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.d of Enroot: in the user's new user and mount namespaces, before the root is switched; standard output is
 * dropped, standard error shown, anything but 0 ends the start. The image is a directory by now.
 */
#include "modes.h"

#include "reply.h"

#include <stdlib.h>
#include <string.h>

/* Returns the last part of a path: the name of the container. */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int mode_enroot(const struct caller *caller)
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
	const char *rootfs = getenv("ENROOT_ROOTFS");
	const char *image = getenv("PYXIS_CONTAINER_IMAGE");

	wire_begin(&ask, "ask");
	wire_string(&ask, "door", "enroot-hook");
	facts_add(caller->options, caller->facts, &ask);
	if (rootfs != NULL && rootfs[0] == '/') {
		wire_string(&ask, "path", rootfs);
		wire_string(&ask, "name", image != NULL && image[0] != '\0' ? image : last_part(rootfs));
	} else {
		wire_string(&ask, "truncated", "1");
	}
	wire_number(&ask, "deadline_ms", question.deadline_ms);
	return reply_get(&question, &ask) == REPLY_GO ? EXIT_GO : EXIT_REFUSED;
}
