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
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_pulled(const char *path)
{
	int image = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return image < 0 ? -errno : image;
}

/* A pull that is under way, and the private directory that it writes into. */
struct pulling {
	char directory[PATH_MAX];
	char *path;	/* of what is run, once that is known */
};

static bool has_done_enough(void *context, pid_t process)
{
	const struct pulling *pulling = context;

	return cached_is_copied(process, pulling->directory, pulling->path);
}

/* Returns an inotify descriptor that tells when a file comes into the directory, or -1. */
static int watch(const char *directory)
{
	int notices = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (notices >= 0 && inotify_add_watch(notices, directory, IN_CREATE) < 0) {
		close(notices);
		notices = -1;
	}
	return notices;
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
		if (asprintf(&environment[count++], "%s%s/" SCRATCH_TEMPORARY, names[i], directory) < 0)
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

/* Runs the pull into a directory that is there. Returns a descriptor of what is run, or -errno and a reason. */
static int run(const struct launch *launch, const char *program, unsigned word, const char **words, const char *target,
	       struct pulling *pulling, struct child *child, char *reason, size_t size)
{
	bool cached = !flags_say(launch, word, "--disable-cache");
	char **environment = environment_of_pull(launch, pulling->directory);
	int failure;

	child->enough = cached ? has_done_enough : NULL;
	child->context = pulling;
	child->mute = !launch->speaks;
	child->notices = watch(pulling->directory);
	if (environment != NULL)
		child_run(child, program, words, environment, flags_say(launch, word, "--docker-login"));
	if (child->notices >= 0)
		close(child->notices);
	failure = child->stopped ? 0 : failure_of(child, reason, size);
	if (failure == 0 && !child->stopped)
		return settle(pulling->directory, target, cached, pulling->path);
	scratch_remove(pulling->directory);
	return failure == 0 ? open_pulled(pulling->path) : failure;
}

/* Pulls into a directory of its own. Returns a descriptor and the path of what is run, or -errno and a reason. */
static int fetch(const struct launch *launch, const char *program, unsigned word, const char **words,
		 char target[PATH_MAX], struct flight *flight, char path[PATH_MAX], char *reason, size_t size)
{
	struct child child = {.status = -1};
	struct pulling pulling = {.path = path};
	int image = scratch_make(pulling.directory);

	if (image != 0) {
		scratch_remove(pulling.directory);
		(void)snprintf(reason, size, "no directory for the pull: %s", strerror(-image));
		return image;
	}
	(void)snprintf(target, PATH_MAX, "%.*s/" SCRATCH_IMAGE, PATH_MAX - 32, pulling.directory);
	image = run(launch, program, word, words, target, &pulling, &child, reason, size);
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
