/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a late answer may be `allow`, per user and window. A user can make answers late on purpose (an image on a
 * FUSE mount that hangs); past the budget his late answers are `deny`. Root's are always `allow`.
 */
#ifndef SIFGATE_GUARD_BUDGET_H
#define SIFGATE_GUARD_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_USERS 512u

struct spent {
	uint32_t uid;
	uint32_t count;
	int64_t since_ms;
};

struct budget {
	struct spent users[BUDGET_USERS];
	size_t count;
	uint32_t most;
	int64_t window_ms;
};

void budget_init(struct budget *budget, uint32_t most, int64_t window_ms);

/* Takes one late answer of the user's budget; returns false where nothing is left of it. */
bool budget_take(struct budget *budget, uint32_t uid, int64_t now_ms);

#endif
