/* SPDX-License-Identifier: Apache-2.0 */
#include "submission.h"

#include "../client/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_LIMIT (128u << 10)	/* a longer command line is judged when it starts */
#define SCRIPT_LIMIT (256u << 10)	/* docs/protocol.md: the agent reads no more */

extern char **environ;

/* The words of this process, each ended with NUL. */
struct words {
	char *bytes;
	size_t length;
};

struct script {
	char *bytes;
	size_t length;
	size_t at;	/* where its name stands among the words; 0: it has none */
};

/* Reads to the end of the file, or until `limit`. */
static size_t read_all(int fd, char *bytes, size_t limit)
{
	size_t length = 0;
	ssize_t got = 1;

	while (got != 0 && length < limit) {
		got = read(fd, bytes + length, limit - length);
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			length += (size_t)got;
	}
	return length;
}

static const char *own_name(void)
{
	return program_invocation_short_name != NULL ? program_invocation_short_name : "";
}

bool submission_is_batch(void)
{
	return strcmp(own_name(), "sbatch") == 0;
}

bool submission_makes_job(void)
{
	if (strcmp(own_name(), "srun") == 0)
		return getenv("SLURM_JOB_ID") == NULL && getenv("SLURM_JOBID") == NULL;
	return submission_is_batch() || strcmp(own_name(), "salloc") == 0;
}

static bool read_words(struct words *words)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);

	words->length = 0;
	words->bytes = malloc(WORDS_LIMIT);
	if (fd >= 0 && words->bytes != NULL)
		words->length = read_all(fd, words->bytes, WORDS_LIMIT);
	if (fd >= 0)
		close(fd);
	return words->length > 0 && words->length < WORDS_LIMIT && words->bytes[words->length - 1] == '\0';
}

/* Keeps what can be a script for sbatch: it insists on the "#!" too. */
static bool keep(struct script *script, size_t length)
{
	script->length = length > 2 && memcmp(script->bytes, "#!", 2) == 0 ? length : 0;
	return script->length > 0;
}

/* An option's value may be anything (-o /dev/tty): only regular files are opened. */
static bool read_named(const char *name, struct script *script)
{
	struct stat status;
	size_t length = 0;
	int fd;

	if (name[0] == '\0' || name[0] == '-' || stat(name, &status) != 0 || !S_ISREG(status.st_mode))
		return false;
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0) {
		length = read_all(fd, script->bytes, SCRIPT_LIMIT);
		close(fd);
	}
	return keep(script, length);
}

static bool take_wrap(const char *text, struct script *script)
{
	static const char head[] = "#!/bin/sh\n";	/* as sbatch makes it */
	size_t length = strlen(text);

	if (length > SCRIPT_LIMIT - sizeof(head))
		length = SCRIPT_LIMIT - sizeof(head);
	memcpy(script->bytes, head, sizeof(head) - 1);
	memcpy(script->bytes + sizeof(head) - 1, text, length);
	return keep(script, sizeof(head) - 1 + length);
}

/* What stood in the pipe that is standard input, before sbatch read it. */
static struct {
	char *bytes;
	size_t length;
} input;

void submission_peek(void)
{
	struct stat status;
	ssize_t got;
	int copy[2];

	if (!submission_is_batch() || fstat(STDIN_FILENO, &status) != 0 || !S_ISFIFO(status.st_mode) ||
	    pipe2(copy, O_CLOEXEC) != 0)
		return;
	got = tee(STDIN_FILENO, copy[1], SCRIPT_LIMIT, SPLICE_F_NONBLOCK);
	input.bytes = got > 0 ? malloc((size_t)got) : NULL;
	if (input.bytes != NULL)
		got = read(copy[0], input.bytes, (size_t)got);
	input.length = input.bytes != NULL && got > 0 ? (size_t)got : 0;
	close(copy[0]);
	close(copy[1]);
}

/* By now sbatch has read it: a file is read again, from its beginning, without moving what others share. */
static bool read_input(struct script *script)
{
	struct stat status;
	ssize_t got = (ssize_t)input.length;

	if (input.length > 0)
		memcpy(script->bytes, input.bytes, input.length < SCRIPT_LIMIT ? input.length : SCRIPT_LIMIT);
	else if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
		got = pread(STDIN_FILENO, script->bytes, SCRIPT_LIMIT, 0);
	return got > 0 && keep(script, (size_t)got < SCRIPT_LIMIT ? (size_t)got : SCRIPT_LIMIT);
}

static bool find_script(const struct words *words, struct script *script)
{
	size_t at = strlen(words->bytes) + 1;

	for (; at < words->length; at += strlen(words->bytes + at) + 1) {
		const char *word = words->bytes + at;
		size_t next = at + strlen(word) + 1;

		if (strncmp(word, "--wrap=", 7) == 0)
			return take_wrap(word + 7, script);
		if (strcmp(word, "--wrap") == 0 && next < words->length)
			return take_wrap(words->bytes + next, script);
		if (read_named(word, script)) {
			script->at = at;
			return true;
		}
	}
	return read_input(script);
}

static void add_words(const struct words *words, size_t at, struct wire_writer *ask)
{
	for (; at < words->length; at += strlen(words->bytes + at) + 1)
		wire_string(ask, "arg", words->bytes + at);
}

static void add_facts(const char *reason, unsigned deadline_ms, struct wire_writer *ask)
{
	char cwd[PATH_MAX];

	wire_begin(ask, "ask");
	wire_string(ask, "door", "submit");
	if (getcwd(cwd, sizeof(cwd)) != NULL)
		wire_string(ask, "cwd", cwd);
	if (reason[0] != '\0')
		wire_string(ask, "reason", reason);
	wire_number(ask, "deadline_ms", deadline_ms);
	for (char **variable = environ; *variable != NULL; variable++) {
		if (environment_is_read(*variable))
			wire_string(ask, "env", *variable);
	}
}

bool submission_ask(const char *reason, unsigned deadline_ms, struct wire_writer *ask)
{
	struct script script = {.bytes = submission_is_batch() ? malloc(SCRIPT_LIMIT) : NULL};
	struct words words;
	bool found = read_words(&words);

	add_facts(reason, deadline_ms, ask);
	if (found && script.bytes != NULL && find_script(&words, &script)) {
		if (script.at > 0)	/* its parameters, as the batch step will have them */
			add_words(&words, script.at, ask);
		wire_bytes(ask, "script", script.bytes, script.length);
	} else if (found) {
		add_words(&words, 0, ask);
	}
	free(script.bytes);
	free(words.bytes);
	return found && !ask->broken;
}
