/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets the Python tests drive the C client, built with sanitizers. One verb per run:
 *
 *   decode                     hex messages on stdin, one a line -> "bad", or "VERB key=hex key=hex …"
 *   encode                     lines "VERB key=hex …" on stdin -> hex of the message, or "broken"
 *   posture PATH               -> action, wait, contact, problem
 *   converse SOCKET MS k=v …   -> what came out (SIGTERM: the launch is cancelled); "k@N" stands for N bytes of x; opens relative to the agent's cwd
 *   pulling SOCKET MS k=v …    -> the same of a shim that can pull: it waits URI milliseconds, or fails where URI is no number
 */
#include "cancel.h"
#include "converse.h"
#include "posture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t from_hex(const char *hex, char *bytes)
{
	size_t length = 0;
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1 && hex[0] != ' '; hex += 2)
		bytes[length++] = (char)byte;
	return length;
}

static void print_hex(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		printf("%02x", (unsigned char)bytes[i]);
}

static void decode_line(const char *line)
{
	char *bytes = malloc(strlen(line) / 2 + 1);
	size_t length = from_hex(line, bytes);
	char *exact = malloc(length > 0 ? length : 1);	/* so that a read past the end is seen */
	struct wire_text verb;
	struct wire_field field;
	size_t at = 0;

	memcpy(exact, bytes, length);
	free(bytes);
	if (wire_check(exact, length, &verb) != 0) {
		puts("bad");
	} else {
		printf("%.*s", (int)verb.length, verb.bytes);
		while (wire_next(exact, length, &at, &field)) {
			printf(" %.*s=", (int)field.key.length, field.key.bytes);
			print_hex(field.value.bytes, field.value.length);
		}
		puts("");
	}
	free(exact);
}

static void encode_line(char *line)
{
	struct wire_writer writer = {0};
	char *word = strtok(line, " ");

	wire_begin(&writer, word != NULL ? word : "");
	while ((word = strtok(NULL, " ")) != NULL) {
		char *equals = strchr(word, '=');
		char *bytes = malloc(strlen(word) + 1);

		*equals = '\0';
		wire_bytes(&writer, word, bytes, from_hex(equals + 1, bytes));
		free(bytes);
	}
	if (writer.broken)
		printf("broken");
	else
		print_hex(writer.bytes, writer.length);
	puts("");
	wire_free(&writer);
}

static void each_line(void (*take)(char *))
{
	char *line = NULL;
	size_t size = 0;
	ssize_t got;

	while ((got = getline(&line, &size, stdin)) > 0) {
		line[got - 1] = '\0';
		take(line);
	}
	free(line);
}

static void take_decode(char *line)
{
	decode_line(line);
}

static int open_image(void *context, const char *path, const char *cwd)
{
	int base = cwd[0] != '\0' ? open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
	int fd = openat(base, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = errno;

	(void)context;
	if (base >= 0)
		close(base);
	return fd < 0 ? -error : fd;
}

/* "Pulls" the number of milliseconds that the URI gives. */
static int pull(void *context, const char *uri, unsigned word, char *reason, size_t size)
{
	char *end = NULL;
	unsigned long wait = strtoul(uri, &end, 10);

	(void)context;
	printf("pull=%s word=%u\n", uri, word);
	if (*end != '\0') {
		(void)snprintf(reason, size, "no such image: %s", uri);
		return -ENOENT;
	}
	(void)usleep((useconds_t)wait * 1000);
	return open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
}

static void progress(void *context, struct wire_text text)
{
	(void)context;
	printf("progress=%.*s\n", (int)text.length, text.bytes);
}

static bool abandoned(void *context)
{
	(void)context;
	return cancel_told();
}

static void add(struct wire_writer *ask, char *word)
{
	char *at = strchr(word, '@');
	char *equals = strchr(word, '=');

	if (equals != NULL && (at == NULL || equals < at)) {
		*equals = '\0';
		wire_string(ask, word, equals + 1);
	} else if (at != NULL) {
		size_t size = strtoul(at + 1, NULL, 10);
		char *bytes = malloc(size + 1);

		*at = '\0';
		memset(bytes, 'x', size);
		wire_bytes(ask, word, bytes, size);
		free(bytes);
	}
}

static int run_converse(int count, char **words, bool pulls)
{
	struct conversation conversation = {
		.socket = words[0],
		.deadline_ms = (unsigned)atoi(words[1]),
		.open_image = open_image,
		.pull = pulls ? pull : NULL,
		.progress = progress,
		.abandoned = abandoned,
	};
	struct wire_writer ask = {0};
	struct answer answer;

	wire_begin(&ask, "ask");
	for (int i = 2; i < count; i++)
		add(&ask, words[i]);
	cancel_watch();
	converse(&conversation, &ask, &answer);
	cancel_unwatch();
	wire_free(&ask);
	printf("decided=%d\naction=%s\nonce=%d\nquiet=%d\nword=%u\nreference=%s\nopened=%s\nfailure=%s\nnotice=%s\n", answer.decided,
	       answer.decided ? action_word(answer.action) : "", answer.once, answer.quiet, answer.word,
	       answer.reference, answer.opened, answer.failure, answer.notice != NULL ? answer.notice : "");
	answer_free(&answer);
	return 0;
}

int main(int count, char **words)
{
	if (count >= 2 && strcmp(words[1], "decode") == 0) {
		each_line(take_decode);
		return 0;
	}
	if (count >= 2 && strcmp(words[1], "encode") == 0) {
		each_line(encode_line);
		return 0;
	}
	if (count == 3 && strcmp(words[1], "posture") == 0) {
		struct posture posture;

		posture_read(words[2], &posture);
		printf("action=%s\nwait=%u\ncontact=%s\nproblem=%s\n", action_word(posture.agent_unreachable),
		       posture.scan_wait_ms, posture.contact, posture.problem);
		return 0;
	}
	if (count >= 4 && strcmp(words[1], "converse") == 0)
		return run_converse(count - 2, words + 2, false);
	if (count >= 4 && strcmp(words[1], "pulling") == 0)
		return run_converse(count - 2, words + 2, true);
	return 2;
}
