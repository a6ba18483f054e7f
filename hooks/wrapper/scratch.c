/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEPTH_MAX 256
#define LOOK_S 1	/* between two looks at a process on kernels that cannot be asked to tell its end */

static const char *const bases[] = {"APPTAINER_TMPDIR", "SINGULARITY_TMPDIR", "TMPDIR"};

int scratch_make(char directory[PATH_MAX])
{
	char temporary[PATH_MAX];
	const char *base = NULL;

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]) && (base == NULL || base[0] != '/'); i++)
		base = getenv(bases[i]);
	if (base == NULL || base[0] != '/')
		base = "/tmp";
	if (snprintf(directory, PATH_MAX, "%.*s/sifgate-pull-XXXXXX", PATH_MAX - 64, base) < 0 ||
	    mkdtemp(directory) == NULL)
		return -errno;
	(void)snprintf(temporary, PATH_MAX, "%.*s/" SCRATCH_TEMPORARY, PATH_MAX - 16, directory);
	return mkdir(temporary, 0700) == 0 ? 0 : -errno;
}

static void empty(int directory, unsigned depth)
{
	DIR *entries = fdopendir(directory);
	struct dirent *entry;

	if (entries == NULL) {
		close(directory);
		return;
	}
	while ((entry = readdir(entries)) != NULL) {
		struct stat status;
		int below;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    unlinkat(directory, entry->d_name, 0) == 0 || depth == 0 ||
		    fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode) ||
		    fchmodat(directory, entry->d_name, 0700, 0) != 0)
			continue;
		below = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			empty(below, depth - 1);
		(void)unlinkat(directory, entry->d_name, AT_REMOVEDIR);
	}
	closedir(entries);
}

void scratch_remove(const char *directory)
{
	int top = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (top >= 0)
		empty(top, DEPTH_MAX);
	(void)rmdir(directory);
}

static void await_end(pid_t process, int handle)
{
	struct pollfd end = {.fd = handle, .events = POLLIN};

	if (handle >= 0) {
		while (poll(&end, 1, -1) < 0 && errno == EINTR)
			;
		return;
	}
	while (kill(process, 0) == 0 || errno == EPERM)
		(void)sleep(LOOK_S);
}

/* Whoever waits for the end of the program's output does not wait for us. */
static void close_all_but(int handle)
{
	long limit = sysconf(_SC_OPEN_MAX);

	if (syscall(SYS_close_range, handle + 1, ~0u, 0) == 0)
		limit = handle;
	for (int fd = 0; fd < limit; fd++) {
		if (fd != handle)
			close(fd);
	}
}

void scratch_remove_later(const char *directory)
{
	pid_t process = getpid();
	int handle = (int)syscall(SYS_pidfd_open, process, 0);
	pid_t child = fork();
	sigset_t all;

	if (child != 0) {
		if (child > 0)
			(void)waitpid(child, NULL, 0);
		if (handle >= 0)
			close(handle);
		return;
	}
	if (fork() != 0)	/* nobody's child: the real program must meet no child that it did not start */
		_exit(0);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	close_all_but(handle);
	if (chdir("/") != 0)	/* else it holds the launch's directory */
		_exit(1);
	await_end(process, handle);
	scratch_remove(directory);
	_exit(0);
}
