/* SPDX-License-Identifier: Apache-2.0 */
#include "scout.h"

#include "journal.h"
#include "link.h"
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUND_MS 1000
#define LEAST_MS 200		/* however often mounts change */

static const char *const words[] = {
	[KIND_STARTER] = "starter", [KIND_WITNESS] = "witness", [KIND_MOUNTER] = "mounter", [KIND_OCI] = "oci",
	[KIND_IMAGE] = "image", [KIND_FILESYSTEM] = "filesystem",
};

struct scout {
	const struct config *config;
	const struct features *features;
	int socket;		/* -1: print */
	FILE *out;
	size_t found;
	bool told[CONFIG_TARGETS];	/* refused, and said so */
};

/* Returns an O_PATH descriptor of the name in the tree, or -1. */
static int open_within(const struct scout *scout, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	const char *tree = scout->config->tree;
	char joined[sizeof(scout->config->tree) + PATH_MAX];
	int root;
	int fd;

	if (!scout->features->has[FEATURE_WITHIN]) {
		(void)snprintf(joined, sizeof(joined), "%s%s", tree[1] != '\0' ? tree : "", path);
		return open(joined, O_PATH | O_CLOEXEC);
	}
	root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	close(root);
	return fd;
}

static void identify(int fd, struct find *find)
{
	struct statx status;

	/* STATX_MNT_ID_UNIQUE (6.8) where there is one, else STATX_MNT_ID: to notice a remount */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | 0x4000u, &status) == 0) {
		find->device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
		find->inode = status.stx_ino;
		find->mount = status.stx_mnt_id;
	}
}

static void send_find(const struct scout *scout, const struct find *find, int fd)
{
	int error = link_send_packet(scout->socket, find, sizeof(*find), fd, 0);

	if (error != 0 && error != -ETIMEDOUT)
		_exit(0);	/* the responder is gone */
}

static void report(struct scout *scout, size_t index, const char *path, const char *why)
{
	const struct target *target = &scout->config->targets[index];

	if (scout->out != NULL)
		(void)fprintf(scout->out, "%-11s %s%s%s\n", words[target->kind], path, why[0] != '\0' ? ": " : "", why);
	else if (why[0] != '\0' && !scout->told[index])
		journal_line(WEIGHT_WARNING, "not marked: file system of %s: %s", path, why);
	scout->told[index] = why[0] != '\0';
}

static void take(struct scout *scout, size_t index, const char *path)
{
	const struct target *target = &scout->config->targets[index];
	struct find find = {.kind = target->kind};
	int fd = open_within(scout, path);
	char why[160] = "";

	if (fd < 0)
		return;
	if (target->kind == KIND_FILESYSTEM && !storage_can_be_marked(fd, target, why, sizeof(why))) {
		report(scout, index, path, why);
	} else {
		report(scout, index, path, "");
		scout->found++;
		identify(fd, &find);
		(void)snprintf(find.name, sizeof(find.name), "%s", path);
		if (scout->socket >= 0)
			send_find(scout, &find, fd);
	}
	close(fd);
}

static void look(struct scout *scout)
{
	const char *tree = scout->config->tree[1] != '\0' ? scout->config->tree : "";

	scout->found = 0;
	for (size_t i = 0; i < scout->config->target_count; i++) {
		const struct target *target = &scout->config->targets[i];
		char pattern[sizeof(scout->config->tree) + sizeof(target->path)];
		glob_t names = {0};

		if (target->kind == KIND_FILESYSTEM && scout->config->level != LEVEL_IMAGE)
			continue;
		(void)snprintf(pattern, sizeof(pattern), "%s%s", tree, target->path);
		if (strpbrk(target->path, "*?[") == NULL) {
			take(scout, i, target->path);
			continue;
		}
		if (glob(pattern, GLOB_NOSORT, NULL, &names) == 0) {
			for (size_t j = 0; j < names.gl_pathc; j++)
				take(scout, i, names.gl_pathv[j] + strlen(tree));
		}
		globfree(&names);
	}
}

_Noreturn void scout_run(const struct config *config, const struct features *features, int socket)
{
	struct scout scout = {.config = config, .features = features, .socket = socket};
	struct find last = {.last = 1};
	struct pollfd wait[2] = {{.events = POLLPRI}, {.fd = socket, .events = POLLIN}};

	(void)prctl(PR_SET_NAME, "guard-scout");
	wait[0].fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	for (;;) {
		look(&scout);
		send_find(&scout, &last, -1);
		if (poll(&wait[1], 1, LEAST_MS) > 0 || (poll(wait, 2, ROUND_MS - LEAST_MS) > 0 && wait[1].revents != 0))
			_exit(0);
	}
}

size_t scout_print(const struct config *config, const struct features *features, FILE *out)
{
	struct scout scout = {.config = config, .features = features, .socket = -1, .out = out};

	look(&scout);
	return scout.found;
}
