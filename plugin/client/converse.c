/* SPDX-License-Identifier: Apache-2.0 */
#include "converse.h"

#include "link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURNS_MAX 512		/* of the agent: 40 s of `wait` and a few dozen images */
#define GRACE_MS 1000		/* past the deadline, for the decision that the agent makes at the deadline */

enum next { NEXT_TURN, NEXT_END };

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

static enum next take_open(const struct conversation *conversation, int link, const char *packet, size_t length,
			   struct answer *answer)
{
	struct wire_writer opened = {0};
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
	wire_begin(&opened, "opened");
	if (image < 0)
		wire_number(&opened, "errno", -(long long)image);
	sent = link_send(link, &opened, image);
	wire_free(&opened);
	if (image >= 0)
		close(image);
	return sent == 0 ? NEXT_TURN : fail(answer, "agent went away: %s", strerror(-sent));
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
	answer->decided = true;
	return NEXT_END;
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
	if (wire_is(verb, "error")) {
		char reason[96];

		(void)copy_text(packet, length, "text", reason, sizeof(reason));
		return fail(answer, "agent answered with an error: %s", reason);
	}
	return fail(answer, "agent answered with an unknown verb");
}

static void hold(const struct conversation *conversation, int link, struct answer *answer)
{
	int64_t end = link_now_ms() + conversation->deadline_ms + GRACE_MS;
	int64_t silence = link_now_ms() + LINK_SILENCE_MS;
	enum next next = NEXT_TURN;
	char *packet = malloc(SIFGATE_PACKET_LIMIT);

	if (packet == NULL) {
		(void)fail(answer, "out of memory");
		return;
	}
	for (int turn = 0; next == NEXT_TURN;) {
		ssize_t got = link_receive(link, packet, SIFGATE_PACKET_LIMIT, silence < end ? silence : end);

		if (conversation->abandoned != NULL && conversation->abandoned(conversation->context)) {
			answer->abandoned = true;
			next = fail(answer, "the step was cancelled");
		} else if (got == -EINTR) {
			continue;	/* a signal is no sign of life */
		} else if (got == 0) {
			next = fail(answer, "agent closed the connection");
		} else if (got == -ETIMEDOUT) {
			next = fail(answer, "agent gave no sign of life");
		} else if (got < 0) {
			next = fail(answer, "agent: %s", strerror((int)-got));
		} else if (turn++ >= TURNS_MAX) {
			next = fail(answer, "agent never came to a decision");
		} else {
			next = take_turn(conversation, link, packet, (size_t)got, answer);
		}
		silence = link_now_ms() + LINK_SILENCE_MS;
	}
	free(packet);
}

void converse(const struct conversation *conversation, const struct wire_writer *ask, struct answer *answer)
{
	int link = link_open(conversation->socket, LINK_SILENCE_MS);
	int sent;

	memset(answer, 0, sizeof(*answer));
	if (link < 0) {
		(void)fail(answer, "%.100s: %s", conversation->socket, strerror(-link));
		return;
	}
	sent = link_send(link, ask, -1);
	if (sent != 0)
		(void)fail(answer, "cannot ask the agent: %s", strerror(-sent));
	else
		hold(conversation, link, answer);
	close(link);
}

void answer_free(struct answer *answer)
{
	free(answer->notice);
	answer->notice = NULL;
}
