/* SPDX-License-Identifier: Apache-2.0 */
#include "trustfile.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT 65536

static bool is_safe(const struct stat *status)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return false;
	if (S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX) != 0)
		return true;
	return (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Whoever could change a directory on the way could change the file. */
static bool parents_are_safe(char *path)
{
	struct stat status;
	bool safe = stat("/", &status) == 0 && is_safe(&status);

	for (char *slash = strchr(path + 1, '/'); safe && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		safe = stat(path, &status) == 0 && is_safe(&status);
		*slash = '/';
	}
	return safe;
}

FILE *trustfile_open(const char *path, char *problem, size_t size)
{
	char resolved[PATH_MAX];
	struct stat status;
	FILE *file = realpath(path, resolved) != NULL ? fopen(resolved, "re") : NULL;

	if (file == NULL) {
		(void)snprintf(problem, size, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && status.st_size < FILE_LIMIT &&
	    is_safe(&status) && parents_are_safe(resolved))
		return file;
	(void)snprintf(problem, size, "%s: not a regular file that only root can change", path);
	(void)fclose(file);
	return NULL;
}
