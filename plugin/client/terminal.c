/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES_LIMIT 4096

void terminal_print(const char *text, size_t length)
{
	char line[LINES_LIMIT + 1];
	size_t size = length < LINES_LIMIT ? length : LINES_LIMIT;
	size_t done = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		line[i] = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? '?' : text[i];
	}
	if (size == 0 || line[size - 1] != '\n')
		line[size++] = '\n';
	while (done < size) {
		ssize_t wrote = write(STDERR_FILENO, line + done, size - done);

		if (wrote < 0 && errno != EINTR)
			return;
		if (wrote > 0)
			done += (size_t)wrote;
	}
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

