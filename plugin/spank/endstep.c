/* SPDX-License-Identifier: Apache-2.0 */
#include "endstep.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 10u
#define NAME_SIZE 48	/* JOB+COMPONENT.STEP */

/* scancel, --quiet, a name for each component, NULL. */
struct command {
	char names[LAUNCH_HET_MAX][NAME_SIZE];
	char *words[LAUNCH_HET_MAX + 3];
};

static void compose(struct command *command, const char *scancel, const struct launch *launch)
{
	uint32_t count = launch->het_size > 0 ? launch->het_size : 1;
	size_t at = 0;

	command->words[at++] = (char *)(uintptr_t)scancel;
	command->words[at++] = (char *)"--quiet";
	for (uint32_t i = 0; i < count; i++) {
		if (launch->het_size > 0)
			(void)snprintf(command->names[i], NAME_SIZE, "%u+%u.%u", launch->het_job, i, launch->step);
		else
			(void)snprintf(command->names[i], NAME_SIZE, "%u.%u", launch->job, launch->step);
		command->words[at++] = command->names[i];
	}
	command->words[at] = NULL;
}

/* The components' job is the user's word: what is cancelled by it is cancelled with his rights. */
static int become(const struct identity *user)
{
	if (setgroups(user->group_count, user->groups) != 0 || setresgid(user->gid, user->gid, user->gid) != 0)
		return -1;
	return setresuid(user->uid, user->uid, user->uid);
}

/* Nodes that refuse together spread their requests to the controller: one millisecond of spread per node. */
static void spread(const struct launch *launch)
{
	unsigned span_ms = launch->nodes < 1000 ? launch->nodes : 1000;
	unsigned delay_ms = (unsigned)(((uint64_t)launch->node * 2654435761u) % span_ms);
	struct timespec delay = {.tv_sec = 0, .tv_nsec = (long)delay_ms * 1000000};

	if (launch->node != 0)
		(void)nanosleep(&delay, NULL);
}

/* The child has nothing of the job: its own environment, no descriptor but the standard three. */
static void run(const struct command *command, const struct identity *user)
{
	const char *conf = getenv("SLURM_CONF");	/* slurmstepd's own, not the job's */
	char setting[4096];
	char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", conf ? setting : NULL, NULL};

	if (conf != NULL)
		(void)snprintf(setting, sizeof(setting), "SLURM_CONF=%s", conf);
	if (freopen("/dev/null", "r+", stdout) == NULL || freopen("/dev/null", "r+", stderr) == NULL)
		_exit(127);
#ifdef SYS_close_range
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
#endif
	(void)alarm(PATIENCE_S);
	if (user != NULL && become(user) != 0)
		_exit(127);
	execve(command->words[0], command->words, environment);
	_exit(127);
}

void endstep(const char *scancel, const struct launch *launch)
{
	struct command command;
	int status = 0;
	pid_t child;

	if (launch->nodes < 2 && launch->het_size == 0)
		return;
	spread(launch);
	compose(&command, scancel, launch);
	child = fork();
	if (child == 0)
		run(&command, launch->het_size > 0 ? &launch->user : NULL);
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		syslog(LOG_AUTH | LOG_ERR, "sifgate: cannot end step %s after a refusal: %s --quiet %s failed (status %d)",
		       command.names[0], scancel, command.names[0], status);
}
