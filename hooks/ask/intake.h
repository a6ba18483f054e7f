/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what somebody else writes, within a size and a time. */
#ifndef SIFGATE_ASK_INTAKE_H
#define SIFGATE_ASK_INTAKE_H

#include <stdbool.h>
#include <stddef.h>

struct intake {
	char *bytes;		/* allocated, ended with NUL; NULL where nothing could be read */
	size_t length;
	bool whole;		/* the end was reached within the bounds */
};

/* Reads `fd` to its end, at most `limit` bytes and `wait_ms` milliseconds. */
void intake_read(int fd, size_t limit, unsigned wait_ms, struct intake *intake);

void intake_free(struct intake *intake);

#endif
