/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>

struct shared {
	pthread_mutex_t mutex;
	bool settled;
	bool refused;
};

static int prepare(struct shared *shared)
{
	pthread_mutexattr_t attributes;
	int failed = pthread_mutexattr_init(&attributes);

	if (failed != 0)
		return failed;
	failed = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	if (failed == 0)
		failed = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	if (failed == 0)
		failed = pthread_mutex_init(&shared->mutex, &attributes);
	(void)pthread_mutexattr_destroy(&attributes);
	return failed;
}

struct shared *shared_create(void)
{
	struct shared *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return NULL;
	if (prepare(shared) == 0)
		return shared;
	(void)munmap(shared, sizeof(*shared));
	return NULL;
}

static int lock(struct shared *shared, unsigned wait_ms)
{
	struct timespec until;
	int failed;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(wait_ms / 1000) + 1;
	failed = pthread_mutex_timedlock(&shared->mutex, &until);
	if (failed == EOWNERDEAD)
		failed = pthread_mutex_consistent(&shared->mutex);
	return failed;
}

enum shared_turn shared_enter(struct shared *shared, unsigned wait_ms)
{
	enum shared_turn turn;

	if (lock(shared, wait_ms) != 0)
		return SHARED_STUCK;
	if (!shared->settled)
		return SHARED_ASK;
	turn = shared->refused ? SHARED_REFUSE : SHARED_ALLOW;
	(void)pthread_mutex_unlock(&shared->mutex);
	return turn;
}

void shared_settle(struct shared *shared, bool refused)
{
	shared->refused = refused;
	shared->settled = true;
	(void)pthread_mutex_unlock(&shared->mutex);
}
