/* SPDX-License-Identifier: Apache-2.0 */
/* guard_opener DIR FILES ROUNDS PROCESSES: opens and closes each file that often in each process; prints opens a second. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void work(int files, int rounds)
{
	for (int i = 0; i < files * rounds; i++) {
		char name[32];
		int fd;

		(void)snprintf(name, sizeof(name), "%d", i % files);
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
	double began;
	int failed = 0;
	int status;

	if (files <= 0 || rounds <= 0 || processes <= 0 || chdir(argv[1]) != 0)
		return 2;
	began = now();
	for (int i = 0; i < processes; i++) {
		if (fork() == 0)
			work(files, rounds);
	}
	while (wait(&status) > 0)
		failed += status != 0;
	(void)printf("%.0f\n", (double)files * rounds * processes / (now() - began));
	return failed != 0;
}
