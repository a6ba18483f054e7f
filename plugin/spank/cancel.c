/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t told;
static struct sigaction before;
static bool watching;

static void note(int number)
{
	(void)number;
	told = 1;
}

void cancel_watch(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = note;	/* no SA_RESTART: poll() must end */
	(void)sigemptyset(&action.sa_mask);
	told = 0;
	watching = sigaction(SIGTERM, &action, &before) == 0;
}

bool cancel_told(void)
{
	return told != 0;
}

void cancel_unwatch(void)
{
	if (watching)
		(void)sigaction(SIGTERM, &before, NULL);
	watching = false;
}
