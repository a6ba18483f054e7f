/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SIF is known by its header and its table of descriptors: they hold a UUID and times that are new for every
 * conversion, and the sizes of all that follows. What is found is what the agent judges and what is run, so a file
 * that only looks alike gains its owner nothing.
 */
#include "cached.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_SIZE 32768		/* of a SIF: header, and the usual 48 descriptors from byte 4096 on */

static const char *const kinds[] = {"oci-tmp", "oci-sif", "oras", "library", "net", "shub", "ipfs"};

/* Where the runtimes keep their caches: the variable that says so, and what is below it. */
static const struct {
	const char *variable;
	const char *below;
} roots[] = {
	{"APPTAINER_CACHEDIR", "cache"},      {"SINGULARITY_CACHEDIR", "cache"}, {"APPTAINER_CONFIGDIR", "cache"},
	{"HOME", ".apptainer/cache"},         {"HOME", ".singularity/cache"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_copy(int image, int other, const char *head, ssize_t length)
{
	static char theirs[HEAD_SIZE];
	struct stat ours;
	struct stat status;

	return fstat(image, &ours) == 0 && fstat(other, &status) == 0 && S_ISREG(status.st_mode) &&
	       status.st_size == ours.st_size && pread(other, theirs, HEAD_SIZE, 0) == length &&
	       memcmp(head, theirs, (size_t)length) == 0;
}

static int find_below(const char *directory, int image, const char *head, ssize_t length, char path[PATH_MAX])
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	int found = -1;

	while (entries != NULL && found < 0 && (entry = readdir(entries)) != NULL) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, "tmp_", 4) == 0 ||
		    snprintf(path, PATH_MAX, "%s/%s", directory, entry->d_name) >= PATH_MAX)
			continue;
		found = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
		if (found >= 0 && !is_copy(image, found, head, length)) {
			close(found);
			found = -1;
		}
	}
	if (entries != NULL)
		closedir(entries);
	return found;
}

int cached_find(int image, char path[PATH_MAX])
{
	static char head[HEAD_SIZE];
	ssize_t length = pread(image, head, HEAD_SIZE, 0);
	char directory[PATH_MAX];
	int found = -1;

	for (size_t root = 0; length > 0 && found < 0 && root < COUNT(roots); root++) {
		const char *value = getenv(roots[root].variable);

		for (size_t kind = 0; value != NULL && value[0] == '/' && found < 0 && kind < COUNT(kinds); kind++) {
			if (snprintf(directory, PATH_MAX, "%s/%s/%s", value, roots[root].below, kinds[kind]) < PATH_MAX)
				found = find_below(directory, image, head, length, path);
		}
	}
	return found;
}

/* Returns whether a path is …/cache/KIND/NAME. */
static bool is_cached(const char *path)
{
	const char *name = strrchr(path, '/');

	if (name == NULL || strncmp(name, "/tmp_", 5) == 0)
		return false;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		char middle[32];
		size_t length = (size_t)snprintf(middle, sizeof(middle), "/cache/%s", kinds[i]);

		if ((size_t)(name - path) > length && memcmp(name - length, middle, length) == 0)
			return true;
	}
	return false;
}

static bool is_directly_in(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && path[length] == '/' && strchr(path + length + 1, '/') == NULL;
}

bool cached_is_copied(pid_t process, const char *directory, char path[PATH_MAX])
{
	char descriptors[64];
	struct dirent *entry;
	bool writes = false;
	bool reads = false;
	DIR *entries;

	(void)snprintf(descriptors, sizeof(descriptors), "/proc/%d/fd", (int)process);
	entries = opendir(descriptors);
	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		char target[PATH_MAX];
		ssize_t length = readlinkat(dirfd(entries), entry->d_name, target, sizeof(target) - 1);

		if (length <= 0)
			continue;
		target[length] = '\0';
		writes = writes || is_directly_in(target, directory);
		if (!reads && is_cached(target)) {
			memcpy(path, target, (size_t)length + 1);
			reads = true;
		}
	}
	if (entries != NULL)
		closedir(entries);
	return reads && writes;
}
