/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slurmstepd: where a launch is judged.
 *
 * user_init makes the memory that the tasks of this step share on this node. task_init_privileged asks, once, and
 * refuses by returning exactly -1: with this callback and this value no release of Slurm drains the node, and the
 * job's private /tmp is already in place. Nothing else here ever fails. Slurm signals a cancelled step once, then
 * waits KillWait (30 s): a task that is told to end while it waits for its answer refuses at once.
 */
#include "../client/converse.h"
#include "../client/posture.h"
#include "../client/terminal.h"
#include "args.h"
#include "cancel.h"
#include "context.h"
#include "endstep.h"
#include "launch.h"
#include "notice.h"
#include "reason.h"
#include "shared.h"
#include "timing.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#define REFUSE (-1)
#define PRESCAN_MS 2000u

static struct args args;
static struct shared *shared;

struct asking {
	const struct launch *launch;
	bool shown;	/* one line of progress is enough */
};

int stepd_init(spank_t spank, int count, char **values)
{
	args_parse(count, values, &args);
	if (args.problem[0] != '\0')	/* failing here would drain the node; the clients have already refused */
		syslog(LOG_AUTH | LOG_ERR, "sifgate: %s", args.problem);
	(void)reason_register(spank);
	return 0;
}

int stepd_user_init(spank_t spank)
{
	struct launch launch;

	timing_start();
	launch_remember_cwd();
	if (launch_read(spank, &launch) == 0 && !launch_is_extern(&launch))
		shared = shared_create();
	timing_stop(TIMING_USER_INIT);
	return 0;
}

static int open_image(void *context, const char *path, const char *cwd)
{
	const struct asking *asking = context;

	return identity_open(&asking->launch->user, path, cwd);
}

static void show_progress(void *context, struct wire_text text)
{
	struct asking *asking = context;

	if (!asking->shown && asking->launch->node == 0)
		terminal_print(text.bytes, text.length);
	asking->shown = true;
}

static bool is_cancelled(void *context)
{
	(void)context;
	return cancel_told();
}

/* A step's first node speaks for all. Another one speaks only of what may be its trouble alone, in one line. */
static void show(const struct launch *launch, const char *text, bool local)
{
	if (launch->node == 0)
		terminal_print(text, strlen(text));
	else if (local)
		terminal_print_line(text);
}

/* Nobody decided: the site's posture does, and syslog knows. */
static bool obey_posture(const struct launch *launch, const struct posture *posture, const char *failure)
{
	enum action action = posture->agent_unreachable;
	char text[512];

	if (!launch_names_runtime(launch))
		return false;
	syslog(LOG_AUTH | LOG_WARNING, "sifgate: job %u step %u uid %u: action \"%s\" without an answer: %s%s%s",
	       launch->job, launch->step, launch->user.uid, action_word(action), failure,
	       posture->problem[0] != '\0' ? "; default posture: " : "", posture->problem);
	if (action >= ACTION_WARN) {
		(void)snprintf(text, sizeof(text),
			       "sifgate: launch %s: nobody on this node could judge the image (cause \"agent_unreachable\")\n"
			       "  why    %s\n"
			       "  do     try again later%s%s",
			       action == ACTION_BLOCK ? "refused" : "not checked", failure,
			       posture->contact[0] != '\0' ? ", or ask " : "", posture->contact);
		show(launch, text, true);
	}
	return action == ACTION_BLOCK;
}

/* A warning is shown once, for a job array too; the agent knows what other doors have shown. */
static bool is_news(const struct launch *launch, const struct answer *answer)
{
	return !answer->quiet && (!answer->once || notice_is_first(args.socket, launch->array, answer->opened));
}

static bool obey_answer(const struct launch *launch, const struct answer *answer)
{
	bool refused = answer->action == ACTION_BLOCK;

	if (answer->notice != NULL && (refused || is_news(launch, answer)))
		show(launch, answer->notice, answer->local);
	return refused;
}

static bool judge(const struct launch *launch, const struct posture *posture)
{
	struct asking asking = {.launch = launch};
	struct conversation conversation = {
		.socket = args.socket,
		.deadline_ms = launch_is_batch(launch) ? PRESCAN_MS : posture->scan_wait_ms,
		.open_image = open_image,
		.progress = show_progress,
		.abandoned = is_cancelled,
		.context = &asking,
	};
	struct wire_writer ask = {0};
	struct answer answer;
	bool refused = false;

	launch_ask(launch, reason_text(), conversation.deadline_ms, &ask);
	cancel_watch();
	converse(&conversation, &ask, &answer);
	cancel_unwatch();
	wire_free(&ask);
	if (answer.abandoned)
		refused = true;	/* what would start is to end at once, and Slurm says so itself */
	else if (launch_is_batch(launch))
		refused = false;	/* a script is only looked at; what it starts is judged when it starts */
	else if (answer.decided)
		refused = obey_answer(launch, &answer);
	else
		refused = obey_posture(launch, posture, answer.failure);
	answer_free(&answer);
	return refused;
}

/* Asks or waits for who asks; true is a refusal. */
static bool is_refused(const struct launch *launch)
{
	struct posture posture;
	bool refused;

	posture_read(args.posture, &posture);
	if (args.problem[0] != '\0')
		return obey_posture(launch, &posture, args.problem);
	if (shared == NULL)
		return judge(launch, &posture);
	switch (shared_enter(shared, posture.scan_wait_ms + 5000)) {
	case SHARED_ALLOW:
		return false;
	case SHARED_REFUSE:
		return true;
	case SHARED_STUCK:
		return obey_posture(launch, &posture, "the task that asks for this step never came back");
	case SHARED_ASK:
		break;
	}
	refused = judge(launch, &posture);
	shared_settle(shared, refused);
	if (refused)
		endstep(args.scancel, launch);
	return refused;
}

int stepd_task_init_privileged(spank_t spank)
{
	struct launch launch;
	bool refused;

	timing_start();
	if (launch_read(spank, &launch) != 0) {
		syslog(LOG_AUTH | LOG_ERR, "sifgate: Slurm does not say what is started; allowed");
		return 0;
	}
	if (launch_is_extern(&launch))
		return 0;
	refused = is_refused(&launch);
	timing_stop(TIMING_TASK);
	timing_write(args.timing, &launch);
	return refused ? REFUSE : 0;
}
