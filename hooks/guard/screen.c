/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define TEXT_LIMIT 4096u
#define PTS_MAJOR_FIRST 136u
#define PTS_MAJOR_LAST 143u

/* Opens /dev/pts/N where that is what standard error points to, the controlling terminal, and the user's own. */
static int open_terminal(const struct process *process)
{
	unsigned major_number = (process->terminal >> 8) & 0xFFFu;
	unsigned minor_number = (process->terminal & 0xFFu) | ((process->terminal >> 12) & 0xFFF00u);
	char name[32];
	char link[32];
	struct stat status;
	ssize_t length = readlinkat(process->directory, "fd/2", link, sizeof(link) - 1);
	int fd;

	if (length <= 0 || major_number < PTS_MAJOR_FIRST || major_number > PTS_MAJOR_LAST)
		return -1;
	link[length] = '\0';
	(void)snprintf(name, sizeof(name), "/dev/pts/%u", ((major_number - PTS_MAJOR_FIRST) << 20) | minor_number);
	if (strcmp(link, name) != 0)
		return -1;
	fd = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_uid == process->uid &&
	    major(status.st_rdev) == major_number && minor(status.st_rdev) == minor_number)
		return fd;
	close(fd);
	return -1;
}

void screen_print(const struct process *process, const char *text)
{
	char line[TEXT_LIMIT + 1];
	size_t length = 0;
	int fd = open_terminal(process);

	if (fd < 0)
		return;
	for (size_t i = 0; text[i] != '\0' && i < TEXT_LIMIT; i++) {
		unsigned char byte = (unsigned char)text[i];

		line[length++] = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f ? '?' : text[i];
	}
	if (length > 0 && line[length - 1] != '\n')
		line[length++] = '\n';
	(void)!write(fd, line, length);
	close(fd);
}
