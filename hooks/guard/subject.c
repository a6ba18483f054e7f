/* SPDX-License-Identifier: Apache-2.0 */
#include "subject.h"

#include "allowlist.h"
#include "json.h"
#include "opener.h"
#include "words.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_LIMIT (1u << 20)		/* of a bundle's config.json */

/* The image that the starter was told to run: exact, whatever the words of the command line tool said. */
static bool find_engine_image(struct subject *subject)
{
	return words_engine_image(&subject->process.environment, subject->image, sizeof(subject->image)) &&
	       subject->image[0] == '/';
}

/* Whether the process runs the very file that it opens: then its words are those of crun or runc. */
static bool runs_event(const struct subject *subject)
{
	struct stat event;
	struct stat program;

	return fstat(subject->event, &event) == 0 && fstatat(subject->process.directory, "exe", &program, 0) == 0 &&
	       event.st_dev == program.st_dev && event.st_ino == program.st_ino;
}

static void read_root(struct subject *subject, const char *config, char *root, size_t size)
{
	static const char *const keys[] = {"root", "path", NULL};
	char *json = malloc(CONFIG_LIMIT);
	int fd = json != NULL ? opener_open(&subject->process, config, "", subject->until_ms) : -1;
	ssize_t length = fd >= 0 ? pread(fd, json, CONFIG_LIMIT, 0) : -1;

	if (length <= 0 || !json_string(json, (size_t)length, keys, root, size))
		(void)snprintf(root, size, "rootfs");
	if (fd >= 0)
		close(fd);
	free(json);
}

/* runc executes itself for its container, and the child shows the words of the first: which lies in its bundle by then.
 * Returns whether this is such a child, and puts the first in its place. */
static bool take_first(struct subject *subject)
{
	struct process parent;
	struct process child = subject->process;
	bool is_child = false;
	bool same;

	do {
		same = process_read(&parent, child.parent) && parent.uid == child.uid;
		subject->process = parent;
		same = same && runs_event(subject) && words_bundle(&parent.arguments, &(struct bundle){0});
		process_close(same ? &child : &parent);
		child = same ? parent : child;
		is_child = is_child || same;
	} while (same && child.parent > 1);
	subject->process = child;
	return is_child;
}

static bool find_bundle_image(struct subject *subject)
{
	char config[PATH_MAX];
	char root[PATH_MAX];
	struct bundle bundle;
	int length;

	if (!runs_event(subject) || !words_bundle(&subject->process.arguments, &bundle))
		return false;
	if (take_first(subject))
		bundle = (struct bundle){0};	/* and where it is now says more than its words */
	if (bundle.directory == NULL || bundle.directory[0] == '\0')
		bundle.directory = ".";
	length = bundle.config != NULL ? snprintf(config, sizeof(config), "%s", bundle.config) :
					 snprintf(config, sizeof(config), "%s/config.json", bundle.directory);
	if (length < 0 || (size_t)length >= sizeof(config))
		return false;	/* too long for a path: the runtime cannot open it either */
	read_root(subject, config, root, sizeof(root));
	length = root[0] == '/' ? snprintf(subject->image, sizeof(subject->image), "%s", root) :
				  snprintf(subject->image, sizeof(subject->image), "%s/%s", bundle.directory, root);
	return length > 0 && (size_t)length < sizeof(subject->image);
}

static bool find_opened_image(struct subject *subject)
{
	char link[64];
	ssize_t length;

	if (subject->process.uid == 0 && subject->process.euid == 0)
		return false;
	if (allowlist_holds(subject->config, &subject->process))
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", subject->event);
	length = readlink(link, subject->image, sizeof(subject->image) - 1);
	subject->image[length > 0 ? length : 0] = '\0';
	if (subject->image[0] != '/')
		(void)strcpy(subject->image, "/(unreachable)");
	return true;
}

bool subject_find(struct subject *subject)
{
	switch ((enum kind)subject->work->kind) {
	case KIND_STARTER:
		/* What a transport stands for is known to the witness only; everything else is refused best here. */
		return !words_name_transport(&subject->process.arguments);
	case KIND_WITNESS:
	case KIND_MOUNTER:
		return find_engine_image(subject);
	case KIND_OCI:
		return find_bundle_image(subject);
	case KIND_IMAGE:
		return find_opened_image(subject);
	case KIND_FILESYSTEM:
		break;
	}
	return false;
}
