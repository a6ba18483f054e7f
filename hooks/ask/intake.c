/* SPDX-License-Identifier: Apache-2.0 */
#include "intake.h"

#include "link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waits until something can be read; false when the time is over. */
static bool await(int fd, int64_t until_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int64_t left;
	int count;

	do {
		left = until_ms - link_now_ms();
		count = left > 0 ? poll(&ready, 1, (int)left) : 0;
	} while (count < 0 && errno == EINTR);
	return count > 0;
}

void intake_read(int fd, size_t limit, unsigned wait_ms, struct intake *intake)
{
	int64_t until_ms = link_now_ms() + wait_ms;

	memset(intake, 0, sizeof(*intake));
	intake->bytes = malloc(limit + 2);	/* one more than allowed, so that too much is seen; and the NUL */
	while (intake->bytes != NULL && intake->length <= limit && await(fd, until_ms)) {
		ssize_t got = read(fd, intake->bytes + intake->length, limit + 1 - intake->length);

		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0) {
			intake->whole = got == 0;
			break;
		}
		intake->length += (size_t)got;
	}
	if (intake->length > limit) {
		intake->length = limit;
		intake->whole = false;
	}
	if (intake->bytes != NULL)
		intake->bytes[intake->length] = '\0';
}

void intake_free(struct intake *intake)
{
	free(intake->bytes);
	memset(intake, 0, sizeof(*intake));
}
