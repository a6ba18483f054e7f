/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_MS 3000	/* Slurm gives 30 s, mpirun less */
#define GRACE_LOOK_MS 200
#define LOOKS 1000	/* after a notice, one each millisecond */
#define LOOK_MS 1
#define STRAYS_MAX 64	/* children that this process had before, and those that a pull leaves */

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU};

/* Signals that would end this process are waited for instead; those that are ignored or blocked stay so. */
static void take_signals(struct child *child)
{
	const struct sigaction plain = {.sa_handler = SIG_DFL};
	struct sigaction action;

	(void)sigprocmask(SIG_BLOCK, NULL, &child->mask);
	(void)sigemptyset(&child->awaited);
	(void)sigaddset(&child->awaited, SIGCHLD);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (sigaction(endings[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL &&
		    sigismember(&child->mask, endings[i]) == 0)
			(void)sigaddset(&child->awaited, endings[i]);
	}
	(void)sigaction(SIGCHLD, &plain, &child->chld);
	(void)sigprocmask(SIG_BLOCK, &child->awaited, NULL);
}

static void give_signals_back(const struct child *child)
{
	(void)sigaction(SIGCHLD, &child->chld, NULL);
	(void)sigprocmask(SIG_SETMASK, &child->mask, NULL);
}

/* Fills `children` with the ids of this process' children; returns how many. */
static size_t list_children(pid_t *children)
{
	char path[64];
	size_t count = 0;
	FILE *list;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	list = fopen(path, "re");
	while (list != NULL && count < STRAYS_MAX && fscanf(list, "%d", &children[count]) == 1)
		count++;
	if (list != NULL)
		(void)fclose(list);
	return count;
}

/* Ends what the program left, which is ours now; never what was here before. */
static void end_strays(const pid_t *before, size_t known)
{
	pid_t children[STRAYS_MAX];
	bool found = true;

	for (int round = 0; found && round < STRAYS_MAX; round++) {
		size_t count = list_children(children);

		found = false;
		for (size_t i = 0; i < count; i++) {
			bool is_old = false;

			for (size_t old = 0; old < known; old++)
				is_old = is_old || before[old] == children[i];
			if (is_old)
				continue;
			found = true;
			(void)kill(children[i], SIGKILL);
			(void)waitpid(children[i], NULL, 0);
		}
	}
}

__attribute__((noreturn))
static void become(const struct child *child, pid_t parent, const char *program, const char *const *words,
		   char *const *environment, int keeps_input)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	give_signals_back(child);
	if (!keeps_input)
		(void)dup2(null, STDIN_FILENO);
	if (child->mute)	/* what has its number now is ours, perhaps the agent's socket */
		(void)dup2(null, STDERR_FILENO);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	execve(program, (char *const *)(uintptr_t)words, environment);
	_exit(127);
}

/* Takes one signal that has come, if any; who is told to end passes that on, once gently. */
static void take_signal(int signals, pid_t process, struct child *child, int64_t *killing)
{
	struct signalfd_siginfo signal;

	if (read(signals, &signal, sizeof(signal)) != (ssize_t)sizeof(signal) || signal.ssi_signo == SIGCHLD ||
	    child->told != 0)
		return;
	child->told = (int)signal.ssi_signo;
	*killing = link_now_ms() + GRACE_MS;
	if (signal.ssi_code != SI_KERNEL)	/* a terminal has told the child as well */
		(void)kill(process, SIGINT);
}

static void look(struct child *child, pid_t process, int *looks)
{
	char events[4096];

	if (read(child->notices, events, sizeof(events)) > 0)
		*looks = LOOKS;
	if (*looks == 0 || child->stopped)
		return;
	(*looks)--;
	if (child->enough(child->context, process)) {
		child->stopped = true;
		(void)kill(process, SIGKILL);
	}
}

static void wait_for(pid_t process, int signals, struct child *child)
{
	struct pollfd polled[] = {{.fd = signals, .events = POLLIN}, {.fd = child->notices, .events = POLLIN}};
	int64_t killing = 0;
	int looks = 0;

	while (waitpid(process, &child->status, WNOHANG) == 0) {
		(void)poll(polled, 2, looks > 0 ? LOOK_MS : child->told != 0 ? GRACE_LOOK_MS : -1);
		if ((polled[0].revents & POLLIN) != 0)
			take_signal(signals, process, child, &killing);
		if (child->enough != NULL && child->notices >= 0)
			look(child, process, &looks);
		if (child->told != 0 && link_now_ms() > killing)
			(void)kill(process, SIGKILL);
	}
}

void child_run(struct child *child, const char *program, const char *const *words, char *const *environment,
	       int keeps_input)
{
	pid_t before[STRAYS_MAX];
	size_t known = list_children(before);
	int was_subreaper = 0;
	pid_t parent = getpid();
	pid_t process;
	int signals;

	child->status = -1;
	child->told = 0;
	child->stopped = false;
	child->ran = true;
	(void)prctl(PR_GET_CHILD_SUBREAPER, &was_subreaper);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	take_signals(child);
	signals = signalfd(-1, &child->awaited, SFD_CLOEXEC | SFD_NONBLOCK);
	process = signals >= 0 ? fork() : -1;
	if (process == 0)
		become(child, parent, program, words, environment, keeps_input);
	if (process > 0) {
		wait_for(process, signals, child);
		if (child->told != 0)
			end_strays(before, known);
	}
	if (signals >= 0)
		close(signals);
	(void)prctl(PR_SET_CHILD_SUBREAPER, was_subreaper);
}

void child_finish(const struct child *child)
{
	if (child->ran)
		give_signals_back(child);
	if (child->told != 0)
		(void)raise(child->told);
}
