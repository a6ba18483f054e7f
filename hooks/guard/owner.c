/* SPDX-License-Identifier: Apache-2.0 */
#include "owner.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 33	/* user namespaces nest no deeper */

static bool is_ours(int namespace)
{
	struct stat its;
	struct stat ours;

	return fstat(namespace, &its) == 0 && stat("/proc/self/ns/user", &ours) == 0 && its.st_ino == ours.st_ino &&
	       its.st_dev == ours.st_dev;
}

uid_t owner_of(pid_t pid, uid_t uid)
{
	char path[64];
	uid_t owner = uid;
	int namespace;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	namespace = open(path, O_RDONLY | O_CLOEXEC);
	for (int depth = 0; namespace >= 0 && depth < DEPTH_MAX && !is_ours(namespace); depth++) {
		int parent = ioctl(namespace, NS_GET_PARENT);
		uid_t made_by;

		if (ioctl(namespace, NS_GET_OWNER_UID, &made_by) == 0 && made_by != 0)
			owner = made_by;
		close(namespace);
		namespace = parent;
	}
	if (namespace >= 0)
		close(namespace);
	return owner;
}
