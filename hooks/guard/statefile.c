/* SPDX-License-Identifier: Apache-2.0 */
#include "statefile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static void write_now(const struct config *config, const struct pulse *pulse, bool ready, uint64_t restarts)
{
	char name[sizeof(config->state) + 8];
	char text[512];
	int length;
	int fd;

	(void)snprintf(name, sizeof(name), "%s.new", config->state);
	length = snprintf(text, sizeof(text),
			  "sifgate-guard 1\npid %d\nlevel %s\nready %d\nmarks %u\nasked %" PRIu64 "\ndenied %" PRIu64
			  "\nundecided %" PRIu64 "\nlate %" PRIu64 "\nover_budget %" PRIu64 "\noverflow %" PRIu64
			  "\nrestarts %" PRIu64 "\n",
			  (int)getppid(), config->level == LEVEL_IMAGE ? "image" : "runtime", ready, pulse->marks, pulse->asked,
			  pulse->denied, pulse->undecided, pulse->late, pulse->over_budget, pulse->overflow, restarts);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return;
	if (length > 0 && write(fd, text, (size_t)length) == length)
		(void)rename(name, config->state);
	close(fd);
}

/* A child does it: the file may lie where opens are judged, and the watchdog must not wait for the responder. */
void statefile_write(const struct config *config, const struct pulse *pulse, bool ready, uint64_t restarts)
{
	pid_t parent = getpid();

	if (config->state[0] == '\0' || fork() != 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
		write_now(config, pulse, ready, restarts);
	_exit(0);
}

void statefile_remove(const struct config *config)
{
	if (config->state[0] != '\0')
		(void)unlink(config->state);
}
