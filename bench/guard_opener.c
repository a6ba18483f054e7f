/* SPDX-License-Identifier: Apache-2.0 */
/* guard_opener DIR FILES ROUNDS PROCESSES: opens and closes each file, by its whole path, that often in each process;
 * prints opens a second and µs of CPU each. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void work(const char *directory, int files, int rounds)
{
	for (int i = 0; i < files * rounds; i++) {
		char name[4096];
		int fd;

		(void)snprintf(name, sizeof(name), "%s/%d", directory, i % files);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			_exit(1);
		(void)close(fd);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int files = argc == 5 ? atoi(argv[2]) : 0;
	int rounds = argc == 5 ? atoi(argv[3]) : 0;
	int processes = argc == 5 ? atoi(argv[4]) : 0;
	struct rusage usage;
	double began;
	int failed = 0;
	int status;

	if (files <= 0 || rounds <= 0 || processes <= 0)
		return 2;
	began = now();
	for (int i = 0; i < processes; i++) {
		if (fork() == 0)
			work(argv[1], files, rounds);
	}
	while (wait(&status) > 0)
		failed += status != 0;
	(void)printf("%.0f ", (double)files * rounds * processes / (now() - began));
	(void)getrusage(RUSAGE_CHILDREN, &usage);
	(void)printf("%.4f\n", (seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1e6 / files / rounds / processes);
	return failed != 0;
}
