/* SPDX-License-Identifier: Apache-2.0 */
#include "converse.h"

#include "link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TURNS_MAX 512		/* of the agent: 40 s of `wait` and a few dozen images */
#define GRACE_MS 1000		/* past the deadline, for the decision that the agent makes at the deadline */
#define BUSY_MIN_MS 20		/* between two questions of a user who has too many open */
#define BUSY_MAX_MS 100
#define REASON_MAX 512		/* bytes of what is said of a failed pull */

enum next {
	NEXT_TURN,	/* of the agent */
	NEXT_ANEW,	/* as NEXT_TURN; both clocks begin anew */
	NEXT_BUSY,	/* the whole question again, later */
	NEXT_END,
};

__attribute__((format(printf, 2, 3)))
static enum next fail(struct answer *answer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(answer->failure, sizeof(answer->failure), format, arguments);
	va_end(arguments);
	return NEXT_END;
}

/* Copies a field into a C string; returns false where it is missing, too long or holds NUL. */
static bool copy_text(const char *packet, size_t length, const char *key, char *text, size_t size)
{
	struct wire_text value;

	text[0] = '\0';
	if (!wire_first(packet, length, key, &value) || value.length >= size ||
	    memchr(value.bytes, '\0', value.length) != NULL)
		return false;
	memcpy(text, value.bytes, value.length);
	text[value.length] = '\0';
	return true;
}

/* Returns the decimal number of a field, or 0 where it is missing or no small number. */
static unsigned read_number(const char *packet, size_t length, const char *key)
{
	unsigned number = 0;
	char digits[8];

	if (!copy_text(packet, length, key, digits, sizeof(digits)) || digits[0] == '\0')
		return 0;
	for (const char *digit = digits; *digit != '\0'; digit++) {
		if (*digit < '0' || *digit > '9')
			return 0;
		number = number * 10 + (unsigned)(*digit - '0');
	}
	return number;
}

/* Answers `opened` with a descriptor, which is closed here, or with -errno and perhaps a reason. */
static int send_opened(int link, int image, const char *reason)
{
	struct wire_writer opened = {0};
	int sent;

	wire_begin(&opened, "opened");
	if (image < 0)
		wire_number(&opened, "errno", -(long long)image);
	if (image < 0 && reason[0] != '\0')
		wire_string(&opened, "text", reason);
	sent = link_send(link, &opened, image);
	wire_free(&opened);
	if (image >= 0)
		close(image);
	return sent;
}

static enum next take_open(const struct conversation *conversation, int link, const char *packet, size_t length,
			   struct answer *answer)
{
	char path[PATH_MAX];
	char cwd[PATH_MAX];
	int image = -EINVAL;
	int sent;

	if (copy_text(packet, length, "path", path, sizeof(path)) && path[0] != '\0') {
		(void)copy_text(packet, length, "cwd", cwd, sizeof(cwd));
		image = conversation->open_image(conversation->context, path, cwd);
		if (image >= 0 && answer->opened[0] == '\0')
			memcpy(answer->opened, path, strlen(path) + 1);
	}
	sent = send_opened(link, image, "");
	return sent == 0 ? NEXT_TURN : fail(answer, "agent went away: %s", strerror(-sent));
}

static enum next take_pull(const struct conversation *conversation, int link, const char *packet, size_t length,
			   struct answer *answer)
{
	char reason[REASON_MAX] = "";
	char uri[PATH_MAX];
	int image = -EINVAL;
	int sent;

	if (copy_text(packet, length, "uri", uri, sizeof(uri)) && uri[0] != '\0')
		image = conversation->pull(conversation->context, uri, read_number(packet, length, "word"), reason,
					   sizeof(reason));
	sent = send_opened(link, image, reason);
	return sent == 0 ? NEXT_ANEW : fail(answer, "agent went away: %s", strerror(-sent));
}

static enum next take_decision(const char *packet, size_t length, struct answer *answer)
{
	struct wire_text value;

	if (!wire_first(packet, length, "action", &value) || !action_parse(value, &answer->action))
		return fail(answer, "agent gave a decision without an action");
	if (wire_first(packet, length, "notice", &value) && value.length > 0) {
		answer->notice = malloc(value.length + 1);
		if (answer->notice != NULL) {
			memcpy(answer->notice, value.bytes, value.length);
			answer->notice[value.length] = '\0';
		}
	}
	(void)copy_text(packet, length, "reference", answer->reference, sizeof(answer->reference));
	answer->once = wire_first(packet, length, "once", &value) && wire_is(value, "1");
	answer->quiet = wire_first(packet, length, "quiet", &value) && wire_is(value, "1");
	answer->local = wire_first(packet, length, "local", &value) && wire_is(value, "1");
	answer->word = read_number(packet, length, "word");
	answer->decided = true;
	return NEXT_END;
}

static enum next take_error(const char *packet, size_t length, struct answer *answer)
{
	struct wire_text code;
	char reason[96];

	(void)copy_text(packet, length, "text", reason, sizeof(reason));
	(void)fail(answer, "agent answered with an error: %s", reason);
	return wire_first(packet, length, "code", &code) && wire_is(code, "busy") ? NEXT_BUSY : NEXT_END;
}

static enum next take_turn(const struct conversation *conversation, int link, const char *packet, size_t length,
			   struct answer *answer)
{
	struct wire_text verb;
	struct wire_text text;

	if (wire_check(packet, length, &verb) != 0)
		return fail(answer, "agent does not speak sifgate/1");
	if (wire_is(verb, "decision"))
		return take_decision(packet, length, answer);
	if (wire_is(verb, "open"))
		return take_open(conversation, link, packet, length, answer);
	if (wire_is(verb, "wait")) {
		if (conversation->progress != NULL && wire_first(packet, length, "text", &text) && text.length > 0)
			conversation->progress(conversation->context, text);
		return NEXT_TURN;
	}
	if (wire_is(verb, "pull") && conversation->pull != NULL)
		return take_pull(conversation, link, packet, length, answer);
	if (wire_is(verb, "error"))
		return take_error(packet, length, answer);
	return fail(answer, "agent answered with an unknown verb");
}

static bool is_abandoned(const struct conversation *conversation, struct answer *answer)
{
	if (conversation->abandoned == NULL || !conversation->abandoned(conversation->context))
		return false;
	answer->abandoned = true;
	(void)fail(answer, "the step was cancelled");
	return true;
}

/* Holds one conversation on a link that was asked on, until `*end`, which a pull puts off. */
static enum next hold(const struct conversation *conversation, int link, int64_t *end, struct answer *answer)
{
	int64_t silence = link_now_ms() + LINK_SILENCE_MS;
	enum next next = NEXT_TURN;
	char *packet = malloc(SIFGATE_PACKET_LIMIT);

	if (packet == NULL)
		return fail(answer, "out of memory");
	for (int turn = 0; next == NEXT_TURN;) {
		ssize_t got = link_receive(link, packet, SIFGATE_PACKET_LIMIT, silence < *end ? silence : *end);

		if (is_abandoned(conversation, answer))
			next = NEXT_END;
		else if (got == -EINTR)
			continue;	/* a signal is no sign of life */
		else if (got == 0)
			next = fail(answer, "agent closed the connection");
		else if (got == -ETIMEDOUT)
			next = fail(answer, "agent gave no sign of life");
		else if (got < 0)
			next = fail(answer, "agent: %s", strerror((int)-got));
		else if (turn++ >= TURNS_MAX)
			next = fail(answer, "agent never came to a decision");
		else
			next = take_turn(conversation, link, packet, (size_t)got, answer);
		silence = link_now_ms() + LINK_SILENCE_MS;
		if (next == NEXT_ANEW) {
			*end = link_now_ms() + conversation->deadline_ms + GRACE_MS;
			next = NEXT_TURN;
		}
	}
	free(packet);
	return next;
}

/* Waits a random moment, so that those who were sent away do not all come back at once; a signal ends it early. */
static void wait_while_busy(void)
{
	struct timespec moment = {0};
	unsigned random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (unsigned)link_now_ms() ^ (unsigned)getpid();
	moment.tv_nsec = (BUSY_MIN_MS + random % (BUSY_MAX_MS - BUSY_MIN_MS + 1)) * 1000000L;
	(void)nanosleep(&moment, NULL);
}

static enum next ask_once(const struct conversation *conversation, const struct wire_writer *ask, int64_t *end,
			  struct answer *answer)
{
	int link = link_open(conversation->socket, LINK_SILENCE_MS);
	enum next next;
	int sent;

	if (link < 0)
		return fail(answer, "%.100s: %s", conversation->socket, strerror(-link));
	sent = link_send(link, ask, -1);
	if (sent == 0 || sent == -EPIPE)	/* an agent that is busy says so and hangs up before it was asked */
		next = hold(conversation, link, end, answer);
	else
		next = fail(answer, "cannot ask the agent: %s", strerror(-sent));
	close(link);
	return next;
}

void converse(const struct conversation *conversation, const struct wire_writer *ask, struct answer *answer)
{
	int64_t end = link_now_ms() + conversation->deadline_ms + GRACE_MS;

	memset(answer, 0, sizeof(*answer));
	while (ask_once(conversation, ask, &end, answer) == NEXT_BUSY && link_now_ms() < end - GRACE_MS) {
		wait_while_busy();
		answer->failure[0] = '\0';
		if (is_abandoned(conversation, answer))
			return;
	}
}

void answer_free(struct answer *answer)
{
	free(answer->notice);
	answer->notice = NULL;
}
