/* SPDX-License-Identifier: Apache-2.0 */
#include "notice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MARK_LIFE_S (30 * 24 * 3600)	/* longer than jobs; /run is empty after a boot anyway */

static void drop_old_marks(int marks)
{
	int copy = dup(marks);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	time_t oldest = time(NULL) - MARK_LIFE_S;
	struct dirent *entry;
	struct stat status;

	if (directory == NULL) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.' && fstatat(marks, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    status.st_mtime < oldest)
			(void)unlinkat(marks, entry->d_name, 0);
	}
	closedir(directory);
}

/* Returns the directory of marks beside the agent's socket, which only root can write, or -1. */
static int open_marks(const char *socket)
{
	char path[PATH_MAX];
	int run;
	int marks = -1;

	(void)snprintf(path, sizeof(path), "%s", socket);
	run = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run < 0)
		return -1;
	if (mkdirat(run, "noticed", 0700) == 0 || errno == EEXIST)
		marks = openat(run, "noticed", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(run);
	return marks;
}

/* FNV-1a: names a mark; a collision costs one warning that is not repeated. */
static uint64_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325u;

	for (; *text != '\0'; text++)
		value = (value ^ (unsigned char)*text) * 0x100000001b3u;
	return value;
}

bool notice_is_first(const char *socket, uint32_t job, const char *image)
{
	char name[64];
	int marks = open_marks(socket);
	int mark;
	int error;

	if (marks < 0)
		return true;
	(void)snprintf(name, sizeof(name), "%u.%016llx", job, (unsigned long long)hash(image));
	mark = openat(marks, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	error = errno;
	if (mark >= 0) {
		close(mark);
		drop_old_marks(marks);
	}
	close(marks);
	return mark >= 0 || error != EEXIST;
}
