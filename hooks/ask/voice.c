/* SPDX-License-Identifier: Apache-2.0 */
#include "voice.h"

#include "terminal.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kept.h"
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

/* Says it where the user reads; returns false where that place is not to be had. */
static bool say_through_runtime(enum saying saying, const char *text)
{
	int terminal;

	if (saying != SAYING_REFUSAL && runtime_has_engine())
		return saying == SAYING_PROGRESS || kept_write(text);
	if (saying == SAYING_REFUSAL)
		runtime_log(text);
	terminal = runtime_open_stderr();
	if (terminal < 0)
		return false;
	print_to(terminal, text);
	close(terminal);
	return true;
}

void voice_say(enum voice voice, enum saying saying, const char *text)
{
	bool said = voice == VOICE_RUNTIME && say_through_runtime(saying, text);

	if (!said)
		terminal_print(text, strlen(text));
	else if (saying == SAYING_REFUSAL)	/* for the runtime's own message, in which lines would be quoted */
		terminal_print(text, strcspn(text, "\n"));
}

void voice_say_kept(void)
{
	char text[KEPT_LIMIT];
	int terminal;

	if (!kept_take(text))
		return;
	terminal = runtime_open_stderr();
	if (terminal >= 0) {
		print_to(terminal, text);
		close(terminal);
	} else {
		terminal_print(text, strlen(text));
	}
}
