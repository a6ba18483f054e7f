/* SPDX-License-Identifier: Apache-2.0 */
#include "flight.h"

#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES 64	/* locks of pulls that were killed while we waited */
#define WAIT_MS (15 * 60 * 1000)	/* for a pull that may have been stopped: then everybody for himself */
#define LOOK_MS 50
#define NOTHING "-"	/* the pull has left no file that others could run */

static const char *const prefixes[] = {"APPTAINER_", "SINGULARITY_", "DOCKER_", "HOME="};

/* FNV-1a, with the NUL between two texts. */
static uint64_t hash(uint64_t value, const char *text)
{
	do {
		value = (value ^ (unsigned char)*text) * 0x100000001b3u;
	} while (*text++ != '\0');
	return value;
}

/* Names the lock: all words, and the variables that decide what a pull fetches and where it is kept. */
static uint64_t name_of(const struct launch *launch, const char *const *words)
{
	uint64_t value = 0xcbf29ce484222325u;

	for (; *words != NULL; words++)
		value = hash(value, *words);
	for (char **variable = launch->environment; *variable != NULL; variable++) {
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
			if (strncmp(*variable, prefixes[i], strlen(prefixes[i])) == 0)
				value = hash(value, *variable);
		}
	}
	return value;
}

/* Returns a descriptor of the lock file, waiting until it is ours alone; -1 where there can be none. */
static int take(const char *path, int64_t until)
{
	struct stat status;
	int lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (lock < 0)
		return -1;
	if (fstat(lock, &status) != 0 || status.st_uid != geteuid() || !S_ISREG(status.st_mode) || status.st_nlink > 1) {
		close(lock);
		return -1;
	}
	while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
		const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};

		if (errno != EINTR && (errno != EWOULDBLOCK || link_now_ms() > until)) {
			close(lock);
			return -1;
		}
		(void)nanosleep(&look, NULL);
	}
	return lock;
}

static bool is_current(int lock, const char *path)
{
	struct stat ours;
	struct stat there;

	return fstat(lock, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

bool flight_board(struct flight *flight, const struct launch *launch, const char *const *words, char result[PATH_MAX])
{
	const int64_t until = link_now_ms() + WAIT_MS;
	const char *base = getenv("TMPDIR");

	(void)snprintf(flight->path, PATH_MAX, "%.*s/sifgate-pull-%u-%016llx.lock", PATH_MAX - 128,
		       base != NULL && base[0] == '/' ? base : "/tmp", (unsigned)geteuid(),
		       (unsigned long long)name_of(launch, words));
	for (int i = 0; i < TRIES; i++) {
		ssize_t length;

		flight->lock = take(flight->path, until);
		if (flight->lock < 0)
			return false;
		length = pread(flight->lock, result, PATH_MAX - 1, 0);
		result[length > 0 ? length : 0] = '\0';
		if (length <= 0 && is_current(flight->lock, flight->path))
			return false;
		close(flight->lock);
		if (length > 0 && strcmp(result, NOTHING) == 0)
			break;
		if (length > 0 && access(result, R_OK) == 0)
			return true;
	}
	flight->lock = -1;
	return false;
}

void flight_land(struct flight *flight, const char *result)
{
	if (flight->lock < 0)
		return;
	if (result == NULL)
		result = NOTHING;
	if (pwrite(flight->lock, result, strlen(result), 0) != (ssize_t)strlen(result) && ftruncate(flight->lock, 0) != 0)
		return;	/* half a name stays locked until we are gone */
	(void)unlink(flight->path);
	close(flight->lock);
	flight->lock = -1;
}
