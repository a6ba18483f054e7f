/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 2000

/* On these root reads everything. */
static const struct {
	unsigned long magic;
	const char *name;
} locals[] = {
	{0xEF53, "ext4"}, {0x58465342, "xfs"}, {0x9123683E, "btrfs"}, {0x01021994, "tmpfs"}, {0x794C7630, "overlay"},
	{0xF2F52010, "f2fs"}, {0x2FC12FC1, "zfs"}, {0xCA451A4E, "bcachefs"}, {0x858458F6, "ramfs"},
};

/* Takes one event of the test file's mark; returns whether the file could be read through it. */
static bool answer_one(int group)
{
	struct fanotify_event_metadata event;
	struct fanotify_response response;
	struct pollfd wait = {.fd = group, .events = POLLIN};
	char byte;
	bool readable;

	if (poll(&wait, 1, PATIENCE_MS) != 1 || read(group, &event, sizeof(event)) != (ssize_t)sizeof(event) || event.fd < 0)
		return false;
	readable = pread(event.fd, &byte, 1, 0) >= 0;
	response = (struct fanotify_response){.fd = event.fd, .response = FAN_ALLOW};
	(void)!write(group, &response, sizeof(response));
	close(event.fd);
	return readable;
}

/* Opens the file as its owner, marked alone: nobody else's opens are touched. */
static bool try_file(const char *path, const struct stat *status)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	bool passed = false;
	pid_t pid;

	if (group < 0)
		return false;
	if (fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, path) == 0 && (pid = fork()) >= 0) {
		if (pid == 0) {
			close(group);
			if (setgroups(0, NULL) != 0 || setresgid(status->st_gid, status->st_gid, status->st_gid) != 0 ||
			    setresuid(status->st_uid, status->st_uid, status->st_uid) != 0)
				_exit(1);
			_exit(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) >= 0 ? 0 : 1);
		}
		passed = answer_one(group);
		close(group);	/* whoever waits still is let go */
		group = -1;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	if (group >= 0)
		close(group);
	return passed;
}

static bool self_test(int directory, const struct target *target, char *why, size_t size)
{
	struct stat there;
	struct stat status;

	if (target->test[0] == '\0')
		(void)snprintf(why, size, "is not known to be local, and has no test file for the self-test");
	else if (lstat(target->test, &status) != 0)
		(void)snprintf(why, size, "has a test file that root cannot look at: %s", strerror(errno));
	else if (!S_ISREG(status.st_mode) || (status.st_mode & 07777) != 0600 || status.st_uid == 0)
		(void)snprintf(why, size, "needs a test file of mode 0600 that belongs to an ordinary user");
	else if (fstat(directory, &there) != 0 || there.st_dev != status.st_dev)
		(void)snprintf(why, size, "has a test file on another file system");
	else if (!try_file(target->test, &status))
		(void)snprintf(why, size, "keeps users' files from root: the kernel would refuse every open");
	else
		return true;
	return false;
}

bool storage_can_be_marked(int directory, const struct target *target, char *why, size_t size)
{
	struct statfs status;

	if (fstatfs(directory, &status) != 0) {
		(void)snprintf(why, size, "cannot be looked at: %s", strerror(errno));
		return false;
	}
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
		if ((unsigned long)status.f_type == locals[i].magic)
			return true;
	}
	return self_test(directory, target, why, size);
}
