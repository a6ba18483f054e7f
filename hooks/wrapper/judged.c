/* SPDX-License-Identifier: Apache-2.0 */
#include "judged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOWEST 10	/* shells and scripts use descriptors below */

static void remember(struct judged *judged, const char *path, int image)
{
	struct stat status;

	if (!judged->kept || judged->count == JUDGED_MAX || fstat(image, &status) != 0 || !S_ISREG(status.st_mode))
		return;
	judged->opened[judged->count].path = strdup(path);
	judged->opened[judged->count].image = fcntl(image, F_DUPFD_CLOEXEC, LOWEST);
	judged->count++;
}

int judged_open(struct judged *judged, const char *path, const char *cwd)
{
	int base = AT_FDCWD;
	int image;
	int error;

	if (path[0] != '/' && cwd[0] != '\0' && (base = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -errno;
	image = openat(base, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	error = errno;
	if (base >= 0)
		close(base);
	if (image < 0)
		return -error;
	remember(judged, path, image);
	return image;
}

/* Returns the name under which the real program, and what it starts, reaches a descriptor that it inherits. */
static char *name_of(int image)
{
	int flags = fcntl(image, F_GETFD);
	char *name = NULL;

	if (flags < 0 || fcntl(image, F_SETFD, flags & ~FD_CLOEXEC) != 0 ||
	    asprintf(&name, "/proc/self/fd/%d", image) < 0)
		return NULL;
	return name;
}

void judged_pulled(struct judged *judged, unsigned word, const char *path, int image)
{
	judged->word = word;
	free(judged->pulled);
	judged->pulled = !judged->kept ? strdup(path) : name_of(fcntl(image, F_DUPFD, LOWEST));
}

/* The agent names a file in full; the word may be relative, so they are compared by their last part. */
static bool is_named_by(const char *path, const char *word)
{
	return path != NULL && strcmp(basename(path), basename(word)) == 0;
}

static bool is_gone(int image)
{
	struct stat status;

	return fstat(image, &status) == 0 && status.st_nlink == 0;
}

bool judged_apply(struct judged *judged, const struct launch *launch, unsigned word)
{
	if (judged->word != 0) {
		if (judged->pulled != NULL)
			launch->words[judged->word] = judged->pulled;
		return true;
	}
	for (unsigned i = judged->count; word != 0 && word < launch->count && i-- > 0;) {
		char *name;

		if (!is_named_by(judged->opened[i].path, launch->words[word]))
			continue;
		if (is_gone(judged->opened[i].image))
			return false;
		name = name_of(judged->opened[i].image);
		if (name != NULL)
			launch->words[word] = name;
		break;
	}
	return true;
}
