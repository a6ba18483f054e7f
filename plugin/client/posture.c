/* SPDX-License-Identifier: Apache-2.0 */
#include "posture.h"

#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT 4096u
#define SCAN_WAIT_DEFAULT_MS 10000u
#define SCAN_WAIT_MAX_MS 40000u		/* Slurm bears 40 s in task_init_privileged (measured on 24.11) */

__attribute__((format(printf, 2, 3)))
static void distrust(struct posture *posture, const char *format, ...)
{
	va_list arguments;

	memset(posture, 0, sizeof(*posture));
	posture->agent_unreachable = ACTION_ALLOW;
	posture->scan_wait_ms = SCAN_WAIT_DEFAULT_MS;
	va_start(arguments, format);
	(void)vsnprintf(posture->problem, sizeof(posture->problem), format, arguments);
	va_end(arguments);
}

/* Only root, or who runs this (tests), may own it; nobody else may write it. A sticky directory keeps others out. */
static bool is_safe(const struct stat *status)
{
	if (status->st_uid != geteuid() && !foreign_may_be_root(status->st_uid))
		return false;
	if (S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX) != 0)
		return true;
	return (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Returns true where no parent directory of the absolute, resolved `path` could be changed by others. */
static bool parents_are_safe(char *path)
{
	struct stat status;

	if (stat("/", &status) != 0 || !is_safe(&status))
		return false;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int found;

		*slash = '\0';
		found = stat(path, &status);
		*slash = '/';
		if (found != 0 || !is_safe(&status))
			return false;
	}
	return true;
}

/* Returns the bytes read into `text` (ended with NUL), or -1 after saying in `posture` what is wrong. */
static ssize_t slurp(const char *path, char *text, size_t size, struct posture *posture)
{
	char resolved[PATH_MAX];
	struct stat status;
	ssize_t got = -1;
	int fd;

	if (realpath(path, resolved) == NULL) {
		distrust(posture, "%s: %s", path, strerror(errno));
		return -1;
	}
	fd = open(resolved, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		distrust(posture, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || !is_safe(&status) || !parents_are_safe(resolved))
		distrust(posture, "%s: not a regular file that only root can change", path);
	else if ((got = read(fd, text, size - 1)) < 0)
		distrust(posture, "%s: %s", path, strerror(errno));
	else
		text[got] = '\0';
	close(fd);
	return got;
}

/* Takes one line `key value`; keys of later versions are passed over. Returns false for a value that is none. */
static bool take(struct posture *posture, const char *line)
{
	const char *value = strchr(line, ' ');
	size_t key = value ? (size_t)(value - line) : 0;
	char *end = NULL;
	unsigned long wait;

	if (value == NULL)
		return line[0] == '\0';
	value++;
	if (wire_is((struct wire_text){line, key}, "agent_unreachable"))
		return action_parse((struct wire_text){value, strlen(value)}, &posture->agent_unreachable);
	if (wire_is((struct wire_text){line, key}, "contact"))
		return snprintf(posture->contact, sizeof(posture->contact), "%s", value) >= 0;
	if (wire_is((struct wire_text){line, key}, "scan_wait_ms")) {
		errno = 0;
		wait = strtoul(value, &end, 10);
		if (errno != 0 || end == value || *end != '\0' || value[0] == '-')
			return false;
		posture->scan_wait_ms = wait < SCAN_WAIT_MAX_MS ? (unsigned)wait : SCAN_WAIT_MAX_MS;
	}
	return true;
}

void posture_read(const char *path, struct posture *posture)
{
	char text[FILE_LIMIT];
	char *rest = NULL;
	char *line;

	distrust(posture, "%s", "");
	if (slurp(path, text, sizeof(text), posture) < 0)
		return;
	line = strtok_r(text, "\n", &rest);
	if (line == NULL || strcmp(line, "sifgate-posture 1") != 0) {
		distrust(posture, "%s: does not begin with \"sifgate-posture 1\"", path);
		return;
	}
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
		if (!take(posture, line)) {
			distrust(posture, "%s: cannot use line \"%.80s\"", path, line);
			return;
		}
	}
}
