/* SPDX-License-Identifier: Apache-2.0 */
#include "statefile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void statefile_write(const struct config *config, const struct pulse *pulse, bool ready, uint64_t restarts)
{
	char name[sizeof(config->state) + 8];
	char text[512];
	int length;
	int fd;

	if (config->state[0] == '\0')
		return;
	(void)snprintf(name, sizeof(name), "%s.new", config->state);
	length = snprintf(text, sizeof(text),
			  "sifgate-guard 1\npid %d\nlevel %s\nready %d\nmarks %u\nasked %" PRIu64 "\ndenied %" PRIu64
			  "\nundecided %" PRIu64 "\nlate %" PRIu64 "\nover_budget %" PRIu64 "\noverflow %" PRIu64
			  "\nrestarts %" PRIu64 "\n",
			  (int)getpid(), config->level == LEVEL_IMAGE ? "image" : "runtime", ready, pulse->marks, pulse->asked,
			  pulse->denied, pulse->undecided, pulse->late, pulse->over_budget, pulse->overflow, restarts);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return;
	if (length > 0 && write(fd, text, (size_t)length) == length)
		(void)rename(name, config->state);
	close(fd);
}

void statefile_remove(const struct config *config)
{
	if (config->state[0] != '\0')
		(void)unlink(config->state);
}
