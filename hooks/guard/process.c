/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_LIMIT 16384u
#define WORDS_LIMIT (4u << 20)	/* as much as a message of the wire may hold */
#define ANCESTORS_MAX 8

/* Reads a file of /proc as far as it fits; returns its length, -1 where that cannot be. Ends it with NUL. */
static ssize_t slurp(int directory, const char *name, char *text, size_t size)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 1;

	while (fd >= 0 && got > 0 && length < size - 1) {
		got = read(fd, text + length, size - 1 - length);
		if (got > 0)
			length += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	text[length] = '\0';
	return fd < 0 || got < 0 ? -1 : (ssize_t)length;
}

static bool read_words(int directory, const char *name, struct words *words)
{
	char *bytes = malloc(WORDS_LIMIT + 1);
	ssize_t length = bytes != NULL ? slurp(directory, name, bytes, WORDS_LIMIT + 1) : -1;
	char *fitting;

	if (length < 0) {
		free(bytes);
		return false;
	}
	fitting = realloc(bytes, (size_t)length + 1);
	words->bytes = fitting != NULL ? fitting : bytes;
	words->length = (size_t)length;
	return true;
}

static const char *line_of(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line != NULL ? line + strlen(key) : "";
}

/* Reads the real and the effective id of a line of `status`. */
static bool read_ids(const char *status, const char *key, unsigned *real, unsigned *effective)
{
	return sscanf(line_of(status, key), "%u %u", real, effective) == 2;
}

static void read_groups(struct process *process, const char *status)
{
	const char *at = line_of(status, "\nGroups:");

	for (;;) {
		char *end = NULL;
		unsigned long group;

		at += strspn(at, " \t");
		if (*at < '0' || *at > '9' || process->group_count >= PROCESS_GROUPS)
			return;
		group = strtoul(at, &end, 10);
		process->groups[process->group_count++] = (gid_t)group;
		at = end;
	}
}

/* The name in `stat` may hold anything, blanks and parentheses too: fields are counted from the last ')'. */
static unsigned terminal_of(const char *text)
{
	const char *at = strrchr(text, ')');
	int terminal = 0;

	if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %d", &terminal) != 1)
		return 0;
	return (unsigned)terminal;
}

bool process_read(struct process *process, pid_t pid)
{
	char text[STATUS_LIMIT];
	char path[32];
	ssize_t length;
	gid_t egid;

	memset(process, 0, sizeof(*process));
	process->pid = pid;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	process->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process->directory < 0 || slurp(process->directory, "status", text, sizeof(text)) < 0)
		return false;
	process->parent = (pid_t)strtol(line_of(text, "\nPPid:"), NULL, 10);
	if (!read_ids(text, "\nUid:", &process->uid, &process->euid) || !read_ids(text, "\nGid:", &process->gid, &egid))
		return false;
	if (process->uid == 0 && process->euid != 0) {
		process->uid = process->euid;
		process->gid = egid;
	}
	process->owner = owner_of(pid, process->uid);
	read_groups(process, text);
	if (slurp(process->directory, "stat", text, sizeof(text)) > 0)
		process->terminal = terminal_of(text);
	length = readlinkat(process->directory, "cwd", process->cwd, sizeof(process->cwd) - 1);
	process->cwd[length > 0 ? length : 0] = '\0';
	return read_words(process->directory, "cmdline", &process->arguments) &&
	       read_words(process->directory, "environ", &process->environment);
}

void process_close(struct process *process)
{
	free((void *)(uintptr_t)process->arguments.bytes);
	free((void *)(uintptr_t)process->environment.bytes);
	if (process->directory >= 0)
		close(process->directory);
	memset(process, 0, sizeof(*process));
	process->directory = -1;
}

/* Whether the program behind /proc/PID is one of the runtime's own; by its name only, for nothing depends on it but
 * whether two doors are seen as one launch. */
static bool is_runtime(pid_t pid)
{
	static const char *const names[] = {
		"apptainer", "apptainer.real", "singularity", "singularity.real", "starter", "starter-suid",
	};
	char exe[PATH_MAX];
	char path[32];
	const char *name;
	ssize_t length;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	length = readlink(path, exe, sizeof(exe) - 1);
	if (length <= 0)
		return false;
	exe[length] = '\0';
	name = strrchr(exe, '/') != NULL ? strrchr(exe, '/') + 1 : exe;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool parent_of(pid_t pid, pid_t *parent, uid_t *uid)
{
	char text[STATUS_LIMIT];
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (slurp(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	*parent = (pid_t)strtol(line_of(text, "\nPPid:"), NULL, 10);
	return sscanf(line_of(text, "\nUid:"), "%u", uid) == 1;
}

pid_t process_launch(const struct process *process)
{
	pid_t launch = process->pid;
	pid_t parent = process->parent;

	for (int i = 0; i < ANCESTORS_MAX && parent > 1 && is_runtime(launch) && is_runtime(parent); i++) {
		pid_t next;
		uid_t uid;

		if (!parent_of(parent, &next, &uid) || uid != process->uid)
			break;
		launch = parent;
		parent = next;
	}
	return launch;
}

int process_owner(pid_t pid, uid_t *owner)
{
	char text[STATUS_LIMIT];
	char path[64];
	uid_t uid;
	uid_t euid;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (slurp(AT_FDCWD, path, text, sizeof(text)) <= 0 || !read_ids(text, "\nUid:", &uid, &euid))
		return -1;
	*owner = owner_of(pid, uid != 0 ? uid : euid);
	return 0;
}
