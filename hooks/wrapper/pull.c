/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `pull` of the runtime writes its result into a private directory. It is a copy of what lies in the user's cache:
 * that file is judged and run, so the next launch finds it known. Where there is no cache, the copy itself is run.
 */
#include "pull.h"

#include "cached.h"
#include "child.h"
#include "flags.h"
#include "flight.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_pulled(const char *path)
{
	int image = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return image < 0 ? -errno : image;
}

/* Returns the environment with the runtime's directory for what it needs for a moment; NULL without memory. */
static char **environment_of_pull(const struct launch *launch, const char *directory)
{
	static const char *const names[] = {"APPTAINER_TMPDIR=", "SINGULARITY_TMPDIR="};
	size_t count = 0;
	char **environment;

	while (launch->environment[count] != NULL)
		count++;
	environment = calloc(count + 3, sizeof(*environment));
	count = 0;
	for (size_t i = 0; environment != NULL && launch->environment[i] != NULL; i++) {
		if (strncmp(launch->environment[i], names[0], strlen(names[0])) != 0 &&
		    strncmp(launch->environment[i], names[1], strlen(names[1])) != 0)
			environment[count++] = launch->environment[i];
	}
	for (size_t i = 0; environment != NULL && i < 2; i++) {
		if (asprintf(&environment[count++], "%s%s", names[i], directory) < 0)
			return NULL;
	}
	return environment;
}

static int failure_of(const struct child *child, char *reason, size_t size)
{
	if (child->status == 0)
		return 0;
	if (child->status == -1)
		(void)snprintf(reason, size, "the pull could not be started");
	else if (WIFSIGNALED(child->status))
		(void)snprintf(reason, size, "the pull was ended by signal %d", WTERMSIG(child->status));
	else
		(void)snprintf(reason, size, "the pull ended with exit code %d", WEXITSTATUS(child->status));
	return -EIO;
}

/* Returns the image that was pulled into `directory`, or the cached file that it is a copy of (then with a path). */
static int settle(const char *directory, const char *target, bool cached, char path[PATH_MAX])
{
	int image = open_pulled(target);
	int other = image >= 0 && cached ? cached_find(image, path) : -1;

	if (image >= 0 && other < 0) {
		(void)snprintf(path, PATH_MAX, "%s", target);
		scratch_remove_later(directory);
		return image;
	}
	if (other >= 0)
		close(image);
	scratch_remove(directory);
	return other >= 0 ? other : image;
}

/* Pulls into a directory of its own. Returns a descriptor and the path of what is run, or -errno and a reason. */
static int fetch(const struct launch *launch, const char *program, unsigned word, const char **words,
		 char target[PATH_MAX], struct flight *flight, char path[PATH_MAX], char *reason, size_t size)
{
	bool cached = !flags_say(launch, word, "--disable-cache");
	char directory[PATH_MAX];
	char **environment;
	struct child child;
	int image = scratch_make(directory);

	if (image != 0) {
		(void)snprintf(reason, size, "no directory for the pull: %s", strerror(-image));
		return image;
	}
	(void)snprintf(target, PATH_MAX, "%.*s/" SCRATCH_IMAGE, PATH_MAX - 32, directory);
	environment = environment_of_pull(launch, directory);
	if (environment == NULL) {
		scratch_remove(directory);
		return -ENOMEM;
	}
	child_run(&child, program, words, environment, flags_say(launch, word, "--docker-login"));
	image = failure_of(&child, reason, size);
	if (image == 0)
		image = settle(directory, target, cached, path);
	else
		scratch_remove(directory);
	flight_land(flight, image >= 0 && strcmp(path, target) != 0 ? path : NULL);
	child_finish(&child);
	return image;
}

int pull_image(const struct launch *launch, const char *program, const char *uri, unsigned word, struct judged *judged,
	       char *reason, size_t size)
{
	char target[PATH_MAX] = "";
	char path[PATH_MAX];
	struct flight flight;
	const char **words;
	int image;

	if (word == 0 || word >= launch->count || strcmp(launch->words[word], uri) != 0) {
		(void)snprintf(reason, size, "the agent asks for another word than the launch has");
		return -EINVAL;
	}
	words = flags_of_pull(launch, word, target);
	if (words == NULL)
		return -ENOMEM;
	if (flight_board(&flight, launch, words, path)) {
		image = open_pulled(path);
	} else {
		image = fetch(launch, program, word, words, target, &flight, path, reason, size);
		flight_land(&flight, NULL);
	}
	if (image >= 0)
		judged_pulled(judged, word, path, image);
	free(words);
	return image;
}
