/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#ifndef SIFGATE_LOG
#define SIFGATE_LOG "/dev/log"
#endif
#define LINE_LIMIT 1024

void journal_write(const char *format, ...)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SIFGATE_LOG};
	char line[LINE_LIMIT];
	va_list arguments;
	size_t length;
	int log;

	length = (size_t)snprintf(line, sizeof(line), "<%d>sifgate[%d]: sifgate: ", LOG_AUTH | LOG_WARNING, (int)getpid());
	va_start(arguments, format);
	(void)vsnprintf(line + length, sizeof(line) - length, format, arguments);
	va_end(arguments);
	for (length = 0; line[length] != '\0'; length++) {
		if ((unsigned char)line[length] < ' ')
			line[length] = '?';	/* what users name must not begin a line of its own */
	}
	log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log < 0)
		return;
	if (connect(log, (const struct sockaddr *)&address, sizeof(address)) == 0)
		(void)send(log, line, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(log);
}
