/* SPDX-License-Identifier: Apache-2.0 */
#include "endstep.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 10u

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
static void run(const char *scancel, const char *step)
{
	const char *conf = getenv("SLURM_CONF");	/* slurmstepd's own, not the job's */
	char setting[4096];
	char *const arguments[] = {(char *)(uintptr_t)scancel, (char *)"--quiet", (char *)(uintptr_t)step, NULL};
	char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", conf ? setting : NULL, NULL};

	if (conf != NULL)
		(void)snprintf(setting, sizeof(setting), "SLURM_CONF=%s", conf);
	if (freopen("/dev/null", "r+", stdout) == NULL || freopen("/dev/null", "r+", stderr) == NULL)
		_exit(127);
#ifdef SYS_close_range
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
#endif
	(void)alarm(PATIENCE_S);
	execve(scancel, arguments, environment);
	_exit(127);
}

void endstep(const char *scancel, const struct launch *launch)
{
	char step[48];
	int status = 0;
	pid_t child;

	if (launch->nodes < 2)
		return;
	spread(launch);
	(void)snprintf(step, sizeof(step), "%u.%u", launch->job, launch->step);
	child = fork();
	if (child == 0)
		run(scancel, step);
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		syslog(LOG_AUTH | LOG_ERR, "sifgate: cannot end step %s after a refusal: %s --quiet %s failed (status %d)",
		       step, scancel, step, status);
}
