/* SPDX-License-Identifier: Apache-2.0 */
#include "abilities.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *word;
	const char *what;
	const char *since;
	const char *without;
	const char *hole;
} table[FEATURE_COUNT] = {
	[FEATURE_PERMISSION] = {"permission", "fanotify permission events", "2.6.37, CAP_SYS_ADMIN", "the guard declines to start", "all"},
	[FEATURE_EXEC] = {"exec", "FAN_OPEN_EXEC_PERM", "5.0", "FAN_OPEN_PERM on the same files",
			  "none; reading a runtime's program is judged like running it"},
	[FEATURE_PIDFD] = {"pidfd", "FAN_REPORT_PIDFD", "5.15", "the process's number",
			   "an opener killed while it waits may have its number used again"},
	[FEATURE_FILESYSTEM] = {"filesystem", "FAN_MARK_FILESYSTEM", "4.20", "level image declines to start", "copied runtimes"},
	[FEATURE_IGNORED] = {"ignored", "FAN_MARK_IGNORED_MASK", "2.6.37", "every open is looked at", "none; later opens cost as much as first ones"},
	[FEATURE_EVICTABLE] = {"evictable", "FAN_MARK_EVICTABLE", "5.19", "ignore marks that stay until the next flush",
			       "none; inodes are held in memory meanwhile"},
	[FEATURE_SIGNAL] = {"signal", "pidfd_send_signal", "5.1", "kill by number", "as for FAN_REPORT_PIDFD"},
	[FEATURE_WITHIN] = {"within", "openat2 RESOLVE_IN_ROOT", "5.6", "names are joined", "absolute links of another `tree` lead out of it"},
};

static bool try_mark(unsigned init, unsigned flags, uint64_t mask, const char *path, unsigned more, uint64_t more_mask)
{
	int group = fanotify_init(init | FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
	bool works;

	if (group < 0)
		return false;
	works = fanotify_mark(group, FAN_MARK_ADD | flags, mask, AT_FDCWD, path) == 0 &&
		(more == 0 || fanotify_mark(group, FAN_MARK_ADD | more, more_mask, AT_FDCWD, path) == 0);
	close(group);
	return works;
}

static void try_others(struct features *features)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int within = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

	features->has[FEATURE_SIGNAL] = self >= 0 && syscall(SYS_pidfd_send_signal, self, 0, NULL, 0) == 0;
	features->has[FEATURE_WITHIN] = within >= 0;
}

/* Tries everything on a file of a tmpfs that nobody else can see: no open of anybody's is ever kept. */
static void try_all(struct features *features)
{
	static const char *const places[] = {"/run", "/tmp", "/mnt"};
	unsigned ignored = FAN_MARK_IGNORED_MASK;
	const char *file = "probe";
	size_t i = 0;
	int fd;

	if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		(void)snprintf(features->problem, sizeof(features->problem), "no mount namespace: %s", strerror(errno));
		return;
	}
	while (i < 3 && mount("sifgate-probe", places[i], "tmpfs", 0, "size=64k") != 0)
		i++;
	fd = i < 3 && chdir(places[i]) == 0 ? open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd < 0) {
		(void)snprintf(features->problem, sizeof(features->problem), "no tmpfs: %s", strerror(errno));
		return;
	}
	close(fd);
	features->has[FEATURE_PERMISSION] = try_mark(FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS, 0, FAN_OPEN_PERM, file, 0, 0);
	if (!features->has[FEATURE_PERMISSION])
		(void)snprintf(features->problem, sizeof(features->problem), "fanotify: %s", strerror(errno));
	features->has[FEATURE_EXEC] = try_mark(0, 0, FAN_OPEN_EXEC_PERM, file, 0, 0);
	features->has[FEATURE_PIDFD] = try_mark(FAN_REPORT_PIDFD, 0, FAN_OPEN_PERM, file, 0, 0);
	features->has[FEATURE_FILESYSTEM] = try_mark(0, FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, file, 0, 0);
	features->has[FEATURE_IGNORED] = try_mark(0, FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, file, ignored, FAN_OPEN_PERM);
	features->has[FEATURE_EVICTABLE] =
		try_mark(0, FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, file, ignored | FAN_MARK_EVICTABLE, FAN_OPEN_PERM);
	try_others(features);
}

void features_probe(struct features *features)
{
	int result[2];
	pid_t pid;

	memset(features, 0, sizeof(*features));
	if (pipe2(result, O_CLOEXEC) != 0)
		return;
	pid = fork();
	if (pid == 0) {
		try_all(features);
		(void)!write(result[1], features, sizeof(*features));
		_exit(0);
	}
	close(result[1]);
	if (pid < 0 || read(result[0], features, sizeof(*features)) != (ssize_t)sizeof(*features))
		(void)snprintf(features->problem, sizeof(features->problem), "the probe did not end");
	close(result[0]);
	(void)waitpid(pid, NULL, 0);
}

bool features_without(struct features *features, const char *word)
{
	for (size_t i = 0; i < FEATURE_COUNT; i++) {
		if (strcmp(word, table[i].word) == 0) {
			features->has[i] = false;
			return true;
		}
	}
	return false;
}

const char *features_decline(const struct features *features, enum level level)
{
	if (!features->has[FEATURE_PERMISSION])
		return features->problem[0] != '\0' ? features->problem : "no fanotify permission events";
	if (level == LEVEL_IMAGE && !features->has[FEATURE_FILESYSTEM])
		return "level image needs FAN_MARK_FILESYSTEM (Linux 4.20)";
	return NULL;
}

void features_print(const struct features *features, FILE *out)
{
	(void)fprintf(out, "%-11s %-27s %-22s %-5s %s\n", "word", "feature", "since Linux", "here", "without it → what is open then");
	for (size_t i = 0; i < FEATURE_COUNT; i++)
		(void)fprintf(out, "%-11s %-27s %-22s %-5s %s → %s\n", table[i].word, table[i].what, table[i].since,
			      features->has[i] ? "yes" : "no", table[i].without, table[i].hole);
}
