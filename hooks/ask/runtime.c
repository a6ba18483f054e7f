/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime.h"

#include "journal.h"

#include "intake.h"
#include "json.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd		/* headers older than Linux 5.6; the numbers are the same everywhere */
#undef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_getfd 438
#endif
#define CMDLINE_LIMIT (64u << 10)
#define LOG_LIMIT (1 << 20)		/* of a log that is appended to */
#define ERROR_LIMIT 6144u		/* bytes of JSON */
#define FILE_WAIT_MS 1000u

/* Reads a file of the runtime's directory in /proc, words ended with NUL as they are. */
static void read_proc(const char *name, size_t limit, struct intake *intake)
{
	char path[64];
	int fd;

	memset(intake, 0, sizeof(*intake));
	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)getppid(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	intake_read(fd, limit, FILE_WAIT_MS, intake);
	close(fd);
}

/* Opening through /proc asks for rights anew: a descriptor that a user opened for reading only, and that a runtime of
 * root has inherited, would become one that root writes to. So it must have been open for writing. */
static bool stderr_is_writable(void)
{
	struct intake info;
	const char *flags;
	bool writable = false;

	read_proc("fdinfo/2", 4096, &info);
	flags = info.bytes != NULL ? strstr(info.bytes, "flags:") : NULL;
	if (flags != NULL)
		writable = (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
	intake_free(&info);
	return writable;
}

/* Returns a copy of the runtime's descriptor (Linux 5.6, and only where it may be traced), or -1. Its file position is
 * shared, so that what the runtime says afterwards does not overwrite what we say. */
static int copy_stderr(void)
{
	int runtime = (int)syscall(SYS_pidfd_open, getppid(), 0);
	int fd;

	if (runtime < 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_getfd, runtime, STDERR_FILENO, 0);
	close(runtime);
	return fd;
}

static bool is_ours(int fd)
{
	struct stat ours;
	struct stat theirs;

	return fstat(fd, &theirs) != 0 ||
	       (fstat(STDERR_FILENO, &ours) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino &&
		ours.st_rdev == theirs.st_rdev);
}

/* A pipe that nobody empties must not hold a launch up. */
static bool takes_text(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
}

int runtime_open_stderr(void)
{
	char path[64];
	int fd;

	if (!stderr_is_writable())
		return -1;
	fd = copy_stderr();
	if (fd < 0) {
		(void)snprintf(path, sizeof(path), "/proc/%ld/fd/2", (long)getppid());
		fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	if (fd < 0)
		return -1;
	if (!is_ours(fd) && takes_text(fd))
		return fd;
	close(fd);
	return -1;
}

/* Returns the word after `--log`, or after `--log=`, among the runtime's words; NULL where there is none. */
static const char *find_log(const struct intake *words)
{
	const char *end = words->bytes + words->length;

	for (const char *word = words->bytes; word < end; word += strlen(word) + 1) {
		if (strncmp(word, "--log=", 6) == 0)
			return word + 6;
		if (strcmp(word, "--log") == 0 && word + 6 < end)
			return word + 6;
	}
	return NULL;
}

/* Returns the log open for appending, or -1. Only a plain, small file of who runs this, in a place that is named in
 * full: what else a command line may name is not ours to write to. */
static int open_log(const char *path)
{
	struct stat status;
	int fd;

	if (path == NULL || path[0] != '/')
		return -1;
	fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() && status.st_nlink == 1 &&
	    status.st_size < LOG_LIMIT)
		return fd;
	close(fd);
	return -1;
}

bool runtime_has_engine(void)
{
	struct intake words;
	bool found;

	read_proc("cmdline", CMDLINE_LIMIT, &words);
	found = words.bytes != NULL && find_log(&words) != NULL;
	intake_free(&words);
	return found;
}

void runtime_log(const char *text)
{
	char escaped[ERROR_LIMIT];
	char line[ERROR_LIMIT + 64];
	struct intake words;
	int length;
	int fd;

	read_proc("cmdline", CMDLINE_LIMIT, &words);
	fd = words.bytes != NULL ? open_log(find_log(&words)) : -1;
	intake_free(&words);
	if (fd < 0)
		return;
	json_escape(text, escaped, sizeof(escaped));
	length = snprintf(line, sizeof(line), "{\"level\":\"error\",\"msg\":\"%s\"}\n", escaped);
	if (write(fd, line, (size_t)length) != length)
		journal_write("the log of the container's runtime takes no text");
	close(fd);
}
