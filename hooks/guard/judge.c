/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "converse.h"
#include "environment.h"
#include "journal.h"
#include "link.h"
#include "opener.h"
#include "posture.h"
#include "screen.h"
#include "subject.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARGIN_MS 1200u			/* what converse() may take beyond its deadline, and a little */
#define LEAST_MS 100u


/* What the agent wants to see: the event's own file where that is the image, else what the process would open. */
static int open_image(void *context, const char *path, const char *cwd)
{
	struct subject *launch = context;

	if (launch->work->kind == KIND_IMAGE) {
		int copy = fcntl(launch->event, F_DUPFD_CLOEXEC, 3);

		return copy >= 0 ? copy : -errno;
	}
	return opener_open(&launch->process, path, cwd, launch->until_ms);
}

static void say(void *context, struct wire_text text)
{
	struct subject *launch = context;
	char line[512];

	(void)snprintf(line, sizeof(line), "%.*s", text.length < 500 ? (int)text.length : 500, text.bytes);
	screen_print(&launch->process, line);
}

static void add_facts(const struct subject *launch, struct wire_writer *ask)
{
	static const char *const ranks[] = {"SLURM_PROCID", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"};
	const struct process *process = &launch->process;

	wire_string(ask, "door", "guard");
	wire_number(ask, "uid", process->owner);
	wire_number(ask, "gid", process->gid);
	wire_number(ask, "pid", process_launch(process));
	wire_number(ask, "deadline_ms", launch->work->left_ms > MARGIN_MS ? launch->work->left_ms - MARGIN_MS : LEAST_MS);
	if (process->cwd[0] == '/')
		wire_string(ask, "cwd", process->cwd);
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
		const char *rank = words_variable(&process->environment, ranks[i]);

		if (rank != NULL && rank[0] != '\0' && strspn(rank, "0123456789") == strlen(rank) && strlen(rank) < 10) {
			wire_string(ask, "rank", rank);
			return;
		}
	}
}

static void add_words(const struct subject *launch, struct wire_writer *ask)
{
	const char *word;

	if (launch->image[0] != '\0') {
		wire_string(ask, "path", launch->image);
		return;
	}
	for (size_t at = 0; (word = words_next(&launch->process.arguments, &at)) != NULL;)
		wire_string(ask, "arg", word);
	for (size_t at = 0; (word = words_next(&launch->process.environment, &at)) != NULL;) {
		if (environment_is_read(word))
			wire_string(ask, "env", word);
	}
}

static void compose(const struct subject *launch, struct wire_writer *ask)
{
	wire_begin(ask, "ask");
	add_facts(launch, ask);
	add_words(launch, ask);
	if (!ask->broken)
		return;
	wire_begin(ask, "ask");		/* too long to send: say so, the state is `unresolved` */
	add_facts(launch, ask);
	wire_string(ask, "truncated", "1");
}

/* Nobody decided: the site's posture does, and it is recorded. */
static enum action without_agent(const struct subject *launch, const struct answer *answer)
{
	struct posture posture;
	enum action action;

	posture_read(launch->config->posture, &posture);
	action = posture.agent_unreachable;
	journal_line(WEIGHT_WARNING, "gap: uid %u pid %d was %s without a decision: %s%s%s", launch->process.owner,
		     (int)launch->process.pid, action == ACTION_BLOCK ? "refused" : "allowed", answer->failure,
		     posture.problem[0] != '\0' ? "; " : "", posture.problem);
	if (action == ACTION_BLOCK)
		screen_print(&launch->process, "sifgate: launch refused: the agent of this node gives no answer");
	return action;
}

static bool ask_agent(struct subject *launch, struct verdict *verdict)
{
	unsigned left = launch->work->left_ms;
	struct conversation conversation = {
		.socket = launch->config->socket,
		.deadline_ms = left > MARGIN_MS ? left - MARGIN_MS : LEAST_MS,
		.open_image = open_image,
		.progress = say,
		.context = launch,
	};
	struct wire_writer ask = {0};
	struct answer answer;
	enum action action;

	compose(launch, &ask);
	converse(&conversation, &ask, &answer);
	wire_free(&ask);
	verdict->undecided = !answer.decided;
	action = answer.decided ? answer.action : without_agent(launch, &answer);
	if (answer.decided && answer.notice != NULL && action >= ACTION_WARN && (action == ACTION_BLOCK || !answer.quiet))
		screen_print(&launch->process, answer.notice);
	answer_free(&answer);
	return action == ACTION_BLOCK;
}

/* The starter does not mind that ecl.toml cannot be read: it is ended, before the open is answered. */
static void end_process(const struct subject *launch)
{
	if (launch->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, launch->pidfd, SIGKILL, NULL, 0);
	else
		(void)kill(launch->process.pid, SIGKILL);	/* it waits in the kernel, its number is its own */
}

void judge(const struct config *config, const struct work *work, int process, int event, struct verdict *verdict)
{
	struct subject launch = {
		.config = config,
		.work = work,
		.pidfd = process,
		.event = event,
		.until_ms = link_now_ms() + (work->left_ms > MARGIN_MS ? work->left_ms - MARGIN_MS : LEAST_MS),
	};

	*verdict = (struct verdict){.id = work->id};
	if (process_read(&launch.process, work->pid) && subject_find(&launch)) {
		verdict->deny = ask_agent(&launch, verdict);
		if (verdict->deny && work->kind == KIND_WITNESS)
			end_process(&launch);
	}
	process_close(&launch.process);
}
