/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight.h"

#include "../client/converse.h"
#include "../client/link.h"
#include "../client/terminal.h"
#include "submission.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_LIMIT 8192u
#define CHILD_LIFE_S 2u		/* past the budget the child may still hand the image over, for the scan */
#define SAID "sifgate: "
#define SWITCH "/etc/sifgate/submit.off"	/* made by `sifgate submit remove` */

static int open_image(void *context, const char *path, const char *cwd)
{
	int base = AT_FDCWD;
	int fd;

	(void)context;
	if (path[0] != '/') {
		base = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (base < 0)
			return -errno;
	}
	fd = openat(base, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		fd = -errno;
	if (base != AT_FDCWD)
		close(base);
	return fd;
}

/* Nothing of this process stays open in the child: who reads its output must see the end of it. */
static void let_go(int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd < 3; fd++)
		(void)dup2(null, fd);
	(void)dup2(keep, 3);
#ifdef SYS_close_range
	(void)syscall(SYS_close_range, 4u, ~0u, 0u);
#endif
}

static void ask_agent(const char *socket, const char *reason, int out)
{
	struct conversation conversation = {
		.socket = socket,
		.deadline_ms = FORESIGHT_MS,
		.open_image = open_image,
	};
	struct wire_writer ask = {0};
	struct answer answer;

	(void)alarm(CHILD_LIFE_S);
	if (!submission_ask(reason, FORESIGHT_MS, &ask))
		_exit(0);
	let_go(out);
	converse(&conversation, &ask, &answer);
	if (answer.decided && answer.notice != NULL && answer.action >= ACTION_WARN &&
	    (answer.action == ACTION_BLOCK || !answer.quiet))
		(void)!write(3, answer.notice, strnlen(answer.notice, TEXT_LIMIT));
	_exit(0);
}

/* A grandchild: nobody has to wait for it, and salloc, which waits for any child, does not meet it. */
static void start(const char *socket, const char *reason, int out)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		(void)signal(SIGALRM, SIG_DFL);
		if (fork() == 0)
			ask_agent(socket, reason, out);
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
}

/* Returns the length of what was said before `until_ms`, and then the end. */
static size_t hear(int in, char *text, size_t size, int64_t until_ms)
{
	size_t length = 0;
	ssize_t got = 1;

	while (got != 0 && length < size) {
		struct pollfd wait = {.fd = in, .events = POLLIN};
		int64_t left = until_ms - link_now_ms();
		int ready = poll(&wait, 1, left > 0 ? (int)left : 0);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return 0;
		got = read(in, text + length, size - length);
		if (got < 0)
			return 0;
		length += (size_t)got;
	}
	return length;
}

/* Who waits for his program reads one line, and all of it when it starts; who is gone by then reads all of it now. */
static void show(const char *text, size_t length)
{
	static const char ahead[] = "sifgate: the job is being submitted; this is about its launch, later on:";
	const char *first = text;
	char line[512];

	if (submission_is_batch()) {
		terminal_print(ahead, sizeof(ahead) - 1);
		terminal_print(text, length);
		return;
	}
	if (length > sizeof(SAID) && memcmp(text, SAID, sizeof(SAID) - 1) == 0)
		first += sizeof(SAID) - 1;
	(void)snprintf(line, sizeof(line), SAID "when this job starts: %.*s", (int)strcspn(first, "\n"), first);
	terminal_print(line, strlen(line));
}

void foresight_prepare(const char *socket)
{
	if (access(socket, W_OK) == 0)
		submission_peek();
}

void foresight_tell(const char *socket, const char *reason)
{
	static bool told;
	int64_t until_ms = link_now_ms() + FORESIGHT_MS;
	char *text;
	size_t length;
	int ends[2];

	if (told || !submission_makes_job() || access(socket, W_OK) != 0 || access(SWITCH, F_OK) == 0 ||
	    pipe2(ends, O_CLOEXEC) != 0)
		return;
	told = true;
	start(socket, reason, ends[1]);
	close(ends[1]);
	text = calloc(1, TEXT_LIMIT + 1);
	length = text != NULL ? hear(ends[0], text, TEXT_LIMIT, until_ms) : 0;
	close(ends[0]);
	if (length > 0)
		show(text, length);
	free(text);
}
