/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include "journal.h"

#include "opener.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One short line is enough from the other ranks of a parallel program: rank 0 says all of it. */
static void say(const struct question *question, enum saying saying, const char *text)
{
	char line[512];

	if (question->facts->rank == 0) {
		voice_say(question->voice, saying, text);
	} else if (saying == SAYING_REFUSAL) {
		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		voice_say(question->voice, saying, line);
	}
}

static void say_posture(const struct question *question, bool refused, const char *failure)
{
	const char *contact = question->posture->contact;
	char text[512];

	if (question->in_advance)
		(void)snprintf(text, sizeof(text), "sifgate: not checked yet (%s): the image is judged when it starts",
			       failure);
	else
		(void)snprintf(text, sizeof(text),
			       "sifgate: launch %s: nobody on this node could judge the image (cause \"agent_unreachable\")\n"
			       "  why    %s\n"
			       "  do     try again later%s%s",
			       refused ? "refused" : "not checked", failure, contact[0] != '\0' ? ", or ask " : "",
			       contact);
	say(question, refused ? SAYING_REFUSAL : SAYING_WARNING, text);
}

static enum reply obey_posture(const struct question *question, const char *failure)
{
	const struct posture *posture = question->posture;
	enum action action = question->starts_container ? posture->agent_unreachable : ACTION_ALLOW;

	journal_write("%s: uid %u job %u: action \"%s\" without an answer: %s%s%s", question->options->mode,
		      (unsigned)getuid(), question->facts->job, action_word(action), failure,
		      posture->problem[0] != '\0' ? "; default posture: " : "", posture->problem);
	if (action >= ACTION_WARN)
		say_posture(question, action == ACTION_BLOCK, failure);
	return action == ACTION_BLOCK ? REPLY_UNDECIDED : REPLY_GO;
}

static enum reply obey_answer(const struct question *question, const struct answer *answer)
{
	bool refused = answer->action == ACTION_BLOCK;

	if (answer->notice != NULL && (refused || !answer->quiet))
		say(question, refused ? SAYING_REFUSAL : SAYING_WARNING, answer->notice);
	return refused ? REPLY_REFUSED : REPLY_GO;
}

/* A sign of life, once: a first launch may wait for its scan. */
static void show_progress(void *context, struct wire_text text)
{
	static bool shown;
	const struct question *question = context;
	char line[256];

	if (shown)
		return;
	shown = true;
	(void)snprintf(line, sizeof(line), "%.*s", (int)(text.length < sizeof(line) ? text.length : sizeof(line) - 1),
		       text.bytes);
	say(question, SAYING_PROGRESS, line);
}

static int open_image(void *context, const char *path, const char *cwd)
{
	(void)context;
	return opener_open(path, cwd);
}

static bool is_abandoned(void *context)
{
	const struct question *question = context;

	return question->abandoned != NULL && question->abandoned();
}

enum reply reply_get(const struct question *question, struct wire_writer *ask)
{
	struct conversation conversation = {
		.socket = question->options->socket,
		.deadline_ms = question->deadline_ms,
		.open_image = open_image,
		.progress = show_progress,
		.abandoned = is_abandoned,
		.context = (void *)(uintptr_t)question,
	};
	struct answer answer;
	enum reply reply;

	converse(&conversation, ask, &answer);
	wire_free(ask);
	if (answer.decided)
		reply = obey_answer(question, &answer);
	else
		reply = obey_posture(question, answer.abandoned ? "no answer in time" : answer.failure);
	answer_free(&answer);
	return reply;
}
