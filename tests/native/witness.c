/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the real program behind the wrapper: writes what it was given into the file $WITNESS, reads one line
 * of its input, runs $WITNESS_STARTS, and ends as $WITNESS_EXIT says. Dynamic memory, buffered output: none, so that nothing is disturbed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void put(int out, const char *key, const char *text)
{
	(void)!write(out, key, strlen(key));
	(void)!write(out, text, strlen(text) + 1);
}

static void put_descriptors(int out)
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;

	while ((entry = readdir(list)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != out && fd != dirfd(list))
			put(out, "fd=", entry->d_name);
	}
	closedir(list);
}

static void put_signals(int out)
{
	struct sigaction action;
	sigset_t mask;
	char text[16];

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int number = 1; number < 32; number++) {
		snprintf(text, sizeof(text), "%d", number);
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			put(out, "ignored=", text);
		if (sigismember(&mask, number) == 1)
			put(out, "blocked=", text);
	}
}

/* Runs a program of the same kind and waits for it, as the runtime does with its own public name. */
static void start(const char *program)
{
	pid_t child = fork();

	if (child == 0) {
		setenv("WITNESS", getenv("WITNESS_INNER"), 1);
		unsetenv("WITNESS_STARTS");
		execl(program, "apptainer", "exec", "inner.sif", (char *)NULL);
		_exit(127);
	}
	waitpid(child, NULL, 0);
}

int main(int count, char **words)
{
	const char *path = getenv("WITNESS");
	const char *end = getenv("WITNESS_EXIT");
	int out = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	char line[256] = "";

	put_signals(out);
	put_descriptors(out);
	for (int i = 0; i < count; i++)
		put(out, "arg=", words[i]);
	for (char **variable = environ; *variable != NULL; variable++)
		put(out, "env=", *variable);
	if (getenv("WITNESS_READS") != NULL && read(STDIN_FILENO, line, sizeof(line) - 1) > 0)
		put(out, "read=", line);
	if (getenv("WITNESS_STARTS") != NULL)
		start(getenv("WITNESS_STARTS"));
	if (end != NULL && end[0] == 's')
		raise(atoi(end + 1));
	return end != NULL ? atoi(end) : 0;
}
