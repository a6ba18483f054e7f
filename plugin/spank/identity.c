/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* Magic links (/proc/self/fd/N) would name descriptors of slurmstepd, not of the job: they are not followed. */
static int open_plain(int base, const char *path)
{
	struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_NO_MAGICLINKS};
	long fd = syscall(SYS_openat2, base, path, &how, sizeof(how));

	if (fd < 0 && errno == ENOSYS)	/* before Linux 5.6 */
		fd = strncmp(path, "/proc/", 6) == 0 ? (errno = ELOOP, -1) : openat(base, path, OPEN_FLAGS);
	return fd < 0 ? -errno : (int)fd;
}

static int open_at(const char *path, const char *cwd)
{
	int base;
	int fd;

	if (path[0] == '/')
		return open_plain(AT_FDCWD, path);
	if (cwd[0] != '/')
		return -EINVAL;
	base = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	fd = open_plain(base, path);
	close(base);
	return fd;
}

int identity_open(const struct identity *identity, const char *path, const char *cwd)
{
	gid_t mine[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, mine);
	int fd = -EPERM;

	if (count < 0 || setgroups(identity->group_count, identity->groups) != 0)
		return -EPERM;
	/* The kernel drops root's file capabilities together with fsuid 0. The calls cannot report failure: ask again. */
	(void)setfsgid(identity->gid);
	(void)setfsuid(identity->uid);
	if ((uid_t)setfsuid((uid_t)-1) == identity->uid && (gid_t)setfsgid((gid_t)-1) == identity->gid)
		fd = open_at(path, cwd);
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	if (setgroups((size_t)count, mine) != 0 && fd >= 0) {
		close(fd);
		return -EPERM;
	}
	return fd;
}
