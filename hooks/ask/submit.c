/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submission: called by a filter of Slurm that holds others up. A look-up and a scan that begins, within a deadline that
 * holds whatever the agent or a file server does.
 */
#include "modes.h"

#include "environment.h"
#include "intake.h"
#include "opener.h"
#include "reply.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_DEFAULT_MS 1000u
#define DEADLINE_MAX_MS 10000u
#define KILL_AFTER_MS 500u
#define SCRIPT_LIMIT (256u << 10)	/* docs/protocol.md: the agent reads no more */
#define REPEAT_US 5000			/* one signal could come just before the call that it is to interrupt */

extern char **environ;

static volatile sig_atomic_t over;

static void note_over(int number)
{
	(void)number;
	over = 1;
}

static bool is_over(void)
{
	return over != 0;
}

/* At the deadline every waiting call ends early. A call that does not (a dead file server) ends with the process. */
static void arm(unsigned deadline_ms)
{
	struct sigaction action = {.sa_handler = note_over};
	struct itimerval timer = {
		.it_value = {.tv_sec = deadline_ms / 1000, .tv_usec = (deadline_ms % 1000) * 1000},
		.it_interval = {.tv_usec = REPEAT_US},
	};
	struct sigevent kill_us = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	unsigned last_ms = deadline_ms + KILL_AFTER_MS;
	struct itimerspec last = {.it_value = {.tv_sec = last_ms / 1000, .tv_nsec = (last_ms % 1000) * 1000000L}};
	timer_t watch;

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	if (timer_create(CLOCK_MONOTONIC, &kill_us, &watch) == 0)
		(void)timer_settime(watch, 0, &last, NULL);
}

/* Returns the batch script, or nothing; `-` is standard input. */
static void read_script(const char *name, unsigned wait_ms, struct intake *script)
{
	int fd;

	memset(script, 0, sizeof(*script));
	if (name == NULL)
		return;
	fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	intake_read(fd, SCRIPT_LIMIT, wait_ms, script);
	if (fd != STDIN_FILENO)
		close(fd);
}

static void add_facts(const struct caller *caller, unsigned deadline_ms, struct wire_writer *ask)
{
	unsigned number;

	wire_begin(ask, "ask");
	wire_string(ask, "door", "submit");
	if (options_number(caller->options->uid, UINT_MAX, &number))
		wire_number(ask, "uid", number);
	if (options_number(caller->options->gid, UINT_MAX, &number))
		wire_number(ask, "gid", number);
	facts_add(caller->options, caller->facts, ask);
	wire_number(ask, "deadline_ms", deadline_ms);
}

/* The environment is the launch's where the user submits, and the controller's where Slurm calls for him. */
static void add_words(const struct caller *caller, const struct intake *script, struct wire_writer *ask)
{
	for (char **word = caller->options->words; *word != NULL; word++)
		wire_string(ask, "arg", *word);
	for (char **variable = environ; caller->options->uid == NULL && *variable != NULL; variable++) {
		if (environment_is_read(*variable))
			wire_string(ask, "env", *variable);
	}
	if (script->length > 0)
		wire_bytes(ask, "script", script->bytes, script->length);
}

static bool names_runtime(const struct caller *caller, const struct intake *script)
{
	for (char **word = caller->options->words; *word != NULL; word++) {
		if (environment_names_runtime(*word))
			return true;
	}
	return script->bytes != NULL && environment_names_runtime(script->bytes);
}

static int judge(const struct caller *caller, unsigned deadline_ms)
{
	struct question question = {
		.options = caller->options,
		.facts = caller->facts,
		.posture = caller->posture,
		.deadline_ms = deadline_ms,
		.voice = VOICE_OWN,
		.abandoned = is_over,
		.in_advance = true,
	};
	struct wire_writer ask = {0};
	struct intake script;
	enum reply reply;

	read_script(caller->options->script, deadline_ms / 2, &script);
	add_facts(caller, deadline_ms, &ask);
	add_words(caller, &script, &ask);
	if (ask.broken) {
		add_facts(caller, deadline_ms, &ask);
		wire_string(&ask, "truncated", "1");
	}
	question.starts_container = names_runtime(caller, &script);
	intake_free(&script);
	reply = reply_get(&question, &ask);
	if (reply == REPLY_UNDECIDED)
		return EXIT_UNDECIDED;
	return reply == REPLY_REFUSED ? EXIT_REFUSED : EXIT_GO;
}

int mode_submit(const struct caller *caller)
{
	const struct options *options = caller->options;
	unsigned deadline_ms = DEADLINE_DEFAULT_MS;
	unsigned uid = 0;
	unsigned gid = 0;

	if ((options->deadline != NULL && !options_number(options->deadline, DEADLINE_MAX_MS, &deadline_ms)) ||
	    (options->uid != NULL) != (options->gid != NULL) ||
	    (options->uid != NULL && (!options_number(options->uid, UINT_MAX - 1, &uid) ||
				      !options_number(options->gid, UINT_MAX - 1, &gid)))) {
		(void)fprintf(stderr, "sifgate-ask: submit: --deadline, --uid and --gid are numbers, the last two go together\n");
		return EXIT_USAGE;
	}
	if (options->uid != NULL)
		opener_act_for(uid, gid);
	arm(deadline_ms);
	return judge(caller, deadline_ms);
}
