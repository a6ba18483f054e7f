/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static const char deleted[] = " (deleted)";	/* the kernel says so where an upgrade has just replaced our file */
static const char *const launching[] = {"exec", "run", "shell", "test", "instance", "run-help", "oci", "checkpoint"};

int program_find(char path[PATH_MAX])
{
	size_t room = PATH_MAX - sizeof(PROGRAM_SUFFIX);
	ssize_t length = readlink("/proc/self/exe", path, room);
	const char *name;

	if (length < 0) {	/* no /proc: what was given to execve */
		char resolved[PATH_MAX];

		name = (const char *)getauxval(AT_EXECFN);
		if (name == NULL || realpath(name, resolved) == NULL)
			return -ENOENT;
		length = snprintf(path, PATH_MAX, "%s", resolved);
	}
	if ((size_t)length >= room)
		return -ENAMETOOLONG;
	path[length] = '\0';
	if ((size_t)length > sizeof(deleted) && strcmp(path + length - (sizeof(deleted) - 1), deleted) == 0)
		length -= (ssize_t)sizeof(deleted) - 1;
	memcpy(path + length, PROGRAM_SUFFIX, sizeof(PROGRAM_SUFFIX));
	return 0;
}

static bool are_same(const char *one, const char *other)
{
	struct stat first;
	struct stat second;

	return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

bool program_is_back(char path[PATH_MAX])
{
	size_t length = strlen(path);

	if (length < sizeof(PROGRAM_SUFFIX) || access(path, F_OK) == 0)
		return false;
	path[length - (sizeof(PROGRAM_SUFFIX) - 1)] = '\0';
	if (access(path, X_OK) == 0 && !are_same("/proc/self/exe", path))
		return true;
	path[length - (sizeof(PROGRAM_SUFFIX) - 1)] = PROGRAM_SUFFIX[0];
	return false;
}

static bool parent_is(const char *path)
{
	char exe[64];

	(void)snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)getppid());
	return are_same(exe, path);
}

bool program_is_inner(const char *path)
{
	return access("/.singularity.d", F_OK) == 0 || parent_is(path);
}

bool program_may_launch(char *const *words)
{
	for (; *words != NULL; words++) {
		for (size_t i = 0; i < sizeof(launching) / sizeof(launching[0]); i++) {
			if (strcmp(*words, launching[i]) == 0)
				return true;
		}
	}
	return false;
}
