/* SPDX-License-Identifier: Apache-2.0 */
/* One pull at a time of the same image for the same user on this node; those who waited for it take its result. */
#ifndef SIFGATE_FLIGHT_H
#define SIFGATE_FLIGHT_H

#include "launch.h"

#include <limits.h>

struct flight {
	int lock;		/* -1: nobody else is heeded, since nothing can be locked here */
	char path[PATH_MAX];	/* of the lock */
};

/*
 * Waits for the turn to pull what the words and the runtime's variables say. Returns true where somebody else has pulled it meanwhile: then
 * `result` is the file. A result is only taken by who asked while it was being made, so a tag that moves is seen.
 */
bool flight_board(struct flight *flight, const struct launch *launch, const char *const *words, char result[PATH_MAX]);

/* Ends the turn and tells who waits where the image lies; NULL: they pull for themselves. */
void flight_land(struct flight *flight, const char *result);

#endif
