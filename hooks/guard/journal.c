/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_LIMIT 512
#define FACILITY_DAEMON (3 << 3)

/* Sends a datagram to a socket of the system, if it takes one right now. */
static void tell(const char *path, const char *text, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int link;

	if (strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		size++;
	link = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link < 0)
		return;
	(void)sendto(link, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
	close(link);
}

void journal_line(enum weight weight, const char *format, ...)
{
	struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[LINE_LIMIT];
	va_list arguments;
	int head;
	int length;

	head = snprintf(line, sizeof(line), "<%d>sifgate-guard: ", FACILITY_DAEMON | (int)weight);
	va_start(arguments, format);
	length = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	length = (int)strlen(line);
	for (char *byte = line; *byte != '\0'; byte++) {
		if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
			*byte = '?';
	}
	tell("/dev/log", line, (size_t)length);
	line[length++] = '\n';
	head = (int)(strchr(line, '>') + 1 - line);
	if (poll(&standard_error, 1, 0) == 1 && (standard_error.revents & POLLOUT) != 0)
		(void)!write(STDERR_FILENO, line + head, (size_t)(length - head));
}

void journal_notify(const char *state)
{
	const char *socket_name = getenv("NOTIFY_SOCKET");

	if (socket_name != NULL && (socket_name[0] == '/' || socket_name[0] == '@'))
		tell(socket_name, state, strlen(state));
}
