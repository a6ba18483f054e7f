/* SPDX-License-Identifier: Apache-2.0 */
#include "marks.h"

#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

static int open_group(unsigned more)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS | more,
				  O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK);

	return group >= 0 ? group : -errno;
}

int marks_open(struct marks *marks, const struct features *features, enum level level)
{
	memset(marks, 0, sizeof(*marks));
	marks->features = features;
	marks->image = -1;
	marks->runtime = open_group(features->has[FEATURE_PIDFD] ? FAN_REPORT_PIDFD : 0);
	if (marks->runtime < 0)
		return marks->runtime;
	if (level == LEVEL_IMAGE) {
		marks->image = open_group(0);
		if (marks->image < 0)
			return marks->image;
	}
	return 0;
}

static int mark(const struct marks *marks, enum kind kind, const char *path)
{
	uint64_t executed = marks->features->has[FEATURE_EXEC] ? FAN_OPEN_EXEC_PERM : FAN_OPEN_PERM;
	bool is_program = kind == KIND_STARTER || kind == KIND_MOUNTER;
	int result;

	if (kind == KIND_FILESYSTEM)
		result = fanotify_mark(marks->image, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, AT_FDCWD, path);
	else
		result = fanotify_mark(marks->runtime, FAN_MARK_ADD, is_program ? executed : FAN_OPEN_PERM, AT_FDCWD, path);
	return result == 0 ? 0 : -errno;
}

/* Remembers the file; returns false where it was known. Says so where another one has that name now. */
static bool remember(struct marks *marks, const struct find *find)
{
	struct known *place;
	bool replaced = false;

	for (size_t i = 0; i < marks->count; i++) {
		const struct known *known = &marks->known[i];

		if (known->kind == find->kind && known->device == find->device && known->inode == find->inode &&
		    known->mount == find->mount)
			return false;
		replaced = replaced || (known->kind == find->kind && strcmp(known->name, find->name) == 0);
	}
	if (replaced)
		journal_line(WEIGHT_WARNING, "gap: marked again: %s is another %s than a moment ago", find->name,
			     find->kind == KIND_FILESYSTEM ? "mount" : "file");
	place = &marks->known[marks->next++ % MARKS_KNOWN];
	*place = (struct known){
		.device = find->device, .inode = find->inode, .mount = find->mount, .kind = (enum kind)find->kind,
	};
	(void)snprintf(place->name, sizeof(place->name), "%s", find->name);
	if (marks->count < MARKS_KNOWN)
		marks->count++;
	return true;
}

void marks_take(struct marks *marks, const struct find *find, int fd)
{
	char path[64];
	int result;

	if (find->kind == KIND_FILESYSTEM && marks->image < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	result = mark(marks, (enum kind)find->kind, path);
	if (remember(marks, find) && result != 0)
		journal_line(WEIGHT_WARNING, "gap: cannot mark %.199s: %s", find->name, strerror(-result));
}

bool marks_kind(const struct marks *marks, int event, enum kind *kind)
{
	struct statx status;
	uint64_t device;

	if (statx(event, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &status) != 0)
		return false;
	device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
	for (size_t i = 0; i < marks->count; i++) {
		const struct known *known = &marks->known[i];

		if (known->device == device && known->inode == status.stx_ino && known->kind != KIND_FILESYSTEM) {
			*kind = known->kind;
			return true;
		}
	}
	return false;
}

bool marks_ignore(const struct marks *marks, int event)
{
	unsigned flags = FAN_MARK_ADD | FAN_MARK_IGNORED_MASK;

	if (!marks->features->has[FEATURE_IGNORED])
		return false;
	if (marks->features->has[FEATURE_EVICTABLE])
		flags |= FAN_MARK_EVICTABLE;
	return fanotify_mark(marks->image, flags, FAN_OPEN_PERM, event, NULL) == 0;
}

void marks_notice(const struct marks *marks, int event)
{
	(void)fanotify_mark(marks->image, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, event, NULL);
}

void marks_flush(const struct marks *marks)
{
	(void)fanotify_mark(marks->image, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);	/* inodes only: the file systems stay marked */
}
