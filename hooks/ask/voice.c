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

void voice_say(enum voice voice, const char *text, bool refused)
{
	int terminal = voice == VOICE_RUNTIME ? runtime_open_stderr() : -1;

	if (terminal >= 0) {
		print_to(terminal, text);
		close(terminal);
	}
	if (terminal < 0 || refused)
		terminal_print(text, strlen(text));
	if (voice == VOICE_RUNTIME && refused)
		runtime_log(text);
}
