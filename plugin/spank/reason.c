/* SPDX-License-Identifier: Apache-2.0 */
#include "reason.h"

#include <stdio.h>

#define REASON_LIMIT 1024	/* docs/protocol.md, section 1 */

static char reason[REASON_LIMIT + 1];

static int take(int value, const char *text, int remote)
{
	(void)value;
	(void)remote;
	(void)snprintf(reason, sizeof(reason), "%s", text != NULL ? text : "");
	return 0;
}

static struct spank_option option = {
	.name = (char *)"sifgate-reason",
	.arginfo = (char *)"TEXT",
	.usage = (char *)"[sifgate] why this image has to run; recorded with the decision on it",
	.has_arg = 1,
	.val = 0,
	.cb = take,
};

int reason_register(spank_t spank)
{
	return spank_option_register(spank, &option) == ESPANK_SUCCESS ? 0 : -1;
}

const char *reason_text(void)
{
	return reason;
}
