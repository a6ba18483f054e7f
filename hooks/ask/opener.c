/* SPDX-License-Identifier: Apache-2.0 */
#include "opener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static struct {
	bool needed;
	uid_t uid;
	gid_t gid;
} other;

void opener_act_for(uid_t uid, gid_t gid)
{
	other.needed = uid != geteuid();
	other.uid = uid;
	other.gid = gid;
}

/* No supplementary groups: nothing is opened that the user could not open, at worst less. */
static int become(void)
{
	if (geteuid() != 0)
		return -EPERM;
	if (setgroups(0, NULL) != 0 || setresgid(other.gid, other.gid, other.gid) != 0 ||
	    setresuid(other.uid, other.uid, other.uid) != 0)
		return -errno;
	other.needed = false;
	return 0;
}

int opener_open(const char *path, const char *cwd)
{
	char joined[PATH_MAX];
	int length;
	int fd;

	if (other.needed) {
		int error = become();

		if (error != 0)
			return error;
	}
	if (path[0] != '/' && cwd[0] != '/')
		return -EINVAL;
	length = snprintf(joined, sizeof(joined), "%s%s%s", path[0] == '/' ? "" : cwd, path[0] == '/' ? "" : "/", path);
	if (length < 0 || (size_t)length >= sizeof(joined))
		return -ENAMETOOLONG;
	fd = open(joined, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 ? fd : -errno;
}
