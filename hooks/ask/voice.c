/* SPDX-License-Identifier: Apache-2.0 */
#include "voice.h"

#include "terminal.h"

#include <string.h>
#include <unistd.h>

#include "runtime.h"

/* Prints to `fd` what is said, as everywhere: through standard error, control characters made harmless. */
static void print_to(int fd, const char *text)
{
	int own = dup(STDERR_FILENO);

	if (dup2(fd, STDERR_FILENO) >= 0)
		terminal_print(text, strlen(text));
	if (own >= 0) {
		(void)dup2(own, STDERR_FILENO);
		close(own);
	}
}

/* Says it where the runtime's user reads; returns false where that place is not to be had. */
static bool say_through_runtime(const char *text, bool refused)
{
	int terminal;

	if (refused && runtime_log(text))
		return true;
	terminal = runtime_open_stderr();
	if (terminal < 0)
		return false;
	print_to(terminal, text);
	close(terminal);
	return true;
}

void voice_say(enum voice voice, const char *text, bool refused)
{
	bool said = voice == VOICE_RUNTIME && say_through_runtime(text, refused);

	if (!said)
		terminal_print(text, strlen(text));
	else if (refused)	/* for the runtime's own message, in which lines would be quoted */
		terminal_print(text, strcspn(text, "\n"));
}
