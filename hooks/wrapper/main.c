/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the place of apptainer or singularity: asks the agent about the launch, tells the user, and becomes the real
 * program, "<own path>.real", with words, variables, descriptors, signals and standard input untouched.
 *
 * Which words start a container is the agent's knowledge; what is decided here needs none. docs/doors/wrapper.md.
 */
#include "converse.h"
#include "journal.h"
#include "judged.h"
#include "launch.h"
#include "posture.h"
#include "program.h"
#include "pull.h"
#include "speech.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SIFGATE_SOCKET
#define SIFGATE_SOCKET "/run/sifgate/agent.sock"
#endif
#ifndef SIFGATE_POSTURE
#define SIFGATE_POSTURE POSTURE_PATH
#endif
#ifndef SIFGATE_RUN_JUDGED
#define SIFGATE_RUN_JUDGED "/etc/sifgate/run-judged"	/* where it exists, the judged descriptor itself is run */
#endif
#define REFUSED 255	/* as every FATAL of the runtimes themselves */

/* By this `sifgate wrapper` knows our file from a real program. */
__attribute__((used)) static const char mark[] = "sifgate-wrapper: takes the place of a container runtime";

extern char **environ;

struct asking {
	const struct launch *launch;
	const char *program;
	struct judged judged;
};

static int open_image(void *context, const char *path, const char *cwd)
{
	struct asking *asking = context;

	return judged_open(&asking->judged, path, cwd);
}

static int pull(void *context, const char *uri, unsigned word, char *reason, size_t size)
{
	struct asking *asking = context;

	return pull_image(asking->launch, asking->program, uri, word, &asking->judged, reason, size);
}

static void show_progress(void *context, struct wire_text text)
{
	const struct asking *asking = context;

	speech_tell_progress(asking->launch, text);
}

/* Returns whether the launch goes on. */
static bool judge(struct asking *asking)
{
	struct posture posture;
	struct conversation conversation = {
		.socket = SIFGATE_SOCKET,
		.open_image = open_image,
		.pull = pull,
		.progress = show_progress,
		.context = asking,
	};
	struct wire_writer ask = {0};
	struct answer answer;
	bool allowed = true;

	posture_read(SIFGATE_POSTURE, &posture);
	conversation.deadline_ms = posture.scan_wait_ms;
	launch_ask(asking->launch, posture.scan_wait_ms, &ask);
	converse(&conversation, &ask, &answer);
	wire_free(&ask);
	if (answer.decided) {
		speech_tell(asking->launch, &answer);
		allowed = answer.action != ACTION_BLOCK;
	} else if (program_may_launch(asking->launch->words)) {
		speech_tell_posture(asking->launch, &posture, answer.failure);
		allowed = posture.agent_unreachable != ACTION_BLOCK;
	}
	if (!judged_apply(&asking->judged, asking->launch, answer.word) && allowed) {
		speech_tell_replaced(asking->launch);
		allowed = false;
	}
	answer_free(&answer);
	return allowed;
}

static int become(char program[PATH_MAX], const struct launch *launch)
{
	execve(program, launch->words, launch->environment);
	if (program_is_back(program))
		execve(program, launch->words, launch->environment);
	journal_write("door wrapper uid %u: cannot run %s: %s", (unsigned)getuid(), program, strerror(errno));
	if (launch->speaks)
		(void)dprintf(STDERR_FILENO, "sifgate: cannot run %s: %s\n", program, strerror(errno));
	return REFUSED;
}

int main(int count, char **words)
{
	char program[PATH_MAX] = "";
	struct launch launch;
	struct asking asking = {.launch = &launch, .program = program};
	int error = program_find(program);

	launch_read(count, words, environ, &launch);
	if (error != 0) {
		if (launch.speaks)
			(void)dprintf(STDERR_FILENO, "sifgate: cannot find the real program: %s\n", strerror(-error));
		return REFUSED;
	}
	asking.judged.kept = access(SIFGATE_RUN_JUDGED, F_OK) == 0;
	if (count > 1 && !program_is_inner(program) && !judge(&asking))
		return REFUSED;
	return become(program, &launch);
}
