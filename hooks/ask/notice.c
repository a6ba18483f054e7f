/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poststart, in the bundle: an engine's user reads what is said now, so the warning of the container's creation is said
 * now. (runc 1.1 runs this stage at the creation already: under it the warning lands in the container's output.)
 */
#include "modes.h"

#include "voice.h"

int mode_notice(const struct caller *caller)
{
	(void)caller;
	voice_say_kept();
	return EXIT_GO;		/* runc ends the container for anything else */
}
