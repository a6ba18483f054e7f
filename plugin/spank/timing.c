/* SPDX-License-Identifier: Apache-2.0 */
#include "timing.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct timespec started;
static long spent_us[2];

void timing_start(void)
{
	(void)clock_gettime(CLOCK_MONOTONIC, &started);
}

void timing_stop(enum timing_part part)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	spent_us[part] = (now.tv_sec - started.tv_sec) * 1000000 + (now.tv_nsec - started.tv_nsec) / 1000;
}

void timing_write(const char *path, const struct launch *launch)
{
	int file;

	if (path[0] == '\0')
		return;
	file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return;
	(void)dprintf(file, "%u.%u %u %ld %ld\n", launch->job, launch->step, launch->task,
		      spent_us[TIMING_USER_INIT], spent_us[TIMING_TASK]);
	close(file);
}
