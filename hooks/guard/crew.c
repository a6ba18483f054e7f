/* SPDX-License-Identifier: Apache-2.0 */
#include "crew.h"

#include "asker.h"
#include "journal.h"
#include "link.h"
#include "responder.h"
#include "scout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_OWN 3
#define END_MS 500

/* Closes every descriptor from `first` on. */
static void close_from(int first)
{
	struct rlimit limit = {.rlim_cur = 1024};

	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
		return;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = first; fd < (int)(limit.rlim_cur < 65536 ? limit.rlim_cur : 65536); fd++)
		close(fd);
}

/* Makes this child keep only `socket` beside the standard descriptors, as number 3; ends it with its parent. */
static void settle(pid_t parent, int socket)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
	    (socket != FIRST_OWN && dup3(socket, FIRST_OWN, O_CLOEXEC) < 0))
		_exit(1);
	close_from(FIRST_OWN + 1);
}

/* Returns the responder's end of the pair to a new asker, -1 where there is none. */
static int start_asker(struct crew *crew, const struct config *config, unsigned asker)
{
	pid_t parent = getpid();
	int pair[2];
	pid_t pid;

	crew->askers[asker] = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		settle(parent, pair[1]);
		asker_run(config, FIRST_OWN);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	crew->askers[asker] = pid;
	return pair[0];
}

static int start_scout(struct crew *crew, const struct config *config, const struct features *features)
{
	pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	crew->scout = fork();
	if (crew->scout == 0) {
		settle(parent, pair[1]);
		scout_run(config, features, FIRST_OWN);
	}
	close(pair[1]);
	return pair[0];
}

static void start_responder(struct crew *crew, const struct config *config, const struct features *features,
			    struct staff *staff)
{
	pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	crew->responder = fork();
	if (crew->responder == 0) {
		sigset_t none;

		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		close(pair[0]);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(1);
		staff->control = pair[1];
		responder_run(config, features, staff);
	}
	close(pair[1]);
	if (crew->responder > 0)
		crew->control = pair[0];
	else
		close(pair[0]);
}

bool crew_start(struct crew *crew, const struct config *config, const struct features *features)
{
	struct staff staff;

	memset(crew, 0, sizeof(*crew));
	crew->control = -1;
	crew->asker_count = config->askers;
	staff.scout = start_scout(crew, config, features);
	for (unsigned asker = 0; asker < config->askers; asker++)
		staff.askers[asker] = start_asker(crew, config, asker);
	if (crew->scout > 0)
		start_responder(crew, config, features, &staff);
	close(staff.scout);
	for (unsigned asker = 0; asker < config->askers; asker++)
		close(staff.askers[asker]);
	if (crew->control < 0)
		journal_line(WEIGHT_WARNING, "gap: cannot start: %s", strerror(errno));
	return crew->control >= 0;
}

static void end(pid_t *pid)
{
	if (*pid > 0)
		(void)kill(*pid, SIGKILL);
}

void crew_end(struct crew *crew)
{
	end(&crew->responder);
	end(&crew->scout);
	for (unsigned asker = 0; asker < crew->asker_count; asker++)
		end(&crew->askers[asker]);
	for (int waited = 0; waited < END_MS; waited += 10) {
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			break;	/* nobody is left */
		(void)poll(NULL, 0, 10);
	}
	if (crew->control >= 0)
		close(crew->control);
	memset(crew, 0, sizeof(*crew));
	crew->control = -1;
}

void crew_kill_asker(const struct crew *crew, unsigned asker)
{
	if (asker < crew->asker_count && crew->askers[asker] > 0)
		(void)kill(crew->askers[asker], SIGKILL);
}

static void send_asker(const struct crew *crew, unsigned asker, int socket)
{
	struct renewal renewal = {.asker = asker, .pid = (uint32_t)crew->askers[asker]};

	(void)link_send_packet(crew->control, &renewal, sizeof(renewal), socket, MSG_DONTWAIT);
}

void crew_replace_asker(struct crew *crew, const struct config *config, pid_t ended)
{
	for (unsigned asker = 0; asker < crew->asker_count; asker++) {
		int socket;

		if (crew->askers[asker] != ended)
			continue;
		journal_line(WEIGHT_WARNING, "gap: an asker has ended, another one begins");
		socket = start_asker(crew, config, asker);
		if (socket >= 0)
			send_asker(crew, asker, socket);
		if (socket >= 0)
			close(socket);
	}
}
