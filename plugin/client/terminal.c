/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_LIMIT 4096
#define STUCK_MS 1000	/* a reader that takes nothing for so long does not hold the launch */

/* Writes what a pipe or terminal takes. A reader that has gone is not worth a signal to the program that starts. */
static void write_patiently(const char *line, size_t size)
{
	struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};
	size_t done = 0;

	while (done < size && poll(&terminal, 1, STUCK_MS) > 0) {
		size_t left = size - done;	/* a pipe that is writable takes PIPE_BUF bytes without waiting */
		ssize_t wrote = write(STDERR_FILENO, line + done, left < PIPE_BUF ? left : PIPE_BUF);

		if (wrote < 0 && errno != EINTR)
			return;
		if (wrote > 0)
			done += (size_t)wrote;
	}
}

static void write_without_sigpipe(const char *line, size_t size)
{
	const struct timespec now = {0};
	sigset_t broken;
	sigset_t before;
	sigset_t pending;

	(void)sigemptyset(&broken);
	(void)sigaddset(&broken, SIGPIPE);
	(void)sigpending(&pending);
	(void)pthread_sigmask(SIG_BLOCK, &broken, &before);
	write_patiently(line, size);
	if (sigismember(&pending, SIGPIPE) == 0)
		(void)sigtimedwait(&broken, NULL, &now);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void terminal_print(const char *text, size_t length)
{
	char line[LINES_LIMIT + 1];
	size_t size = length < LINES_LIMIT ? length : LINES_LIMIT;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		line[i] = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? '?' : text[i];
	}
	if (size == 0 || line[size - 1] != '\n')
		line[size++] = '\n';
	write_without_sigpipe(line, size);
}

void terminal_print_line(const char *text)
{
	static const char tag[] = "sifgate: ";
	char host[HOST_NAME_MAX + 1];
	char line[1024];
	int length;

	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	if (strncmp(text, tag, sizeof(tag) - 1) == 0)
		text += sizeof(tag) - 1;
	length = snprintf(line, sizeof(line), "%s%s: %.*s", tag, host, (int)strcspn(text, "\n"), text);
	if (length > 0)
		terminal_print(line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

