/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"

#include <string.h>

void budget_init(struct budget *budget, uint32_t most, int64_t window_ms)
{
	memset(budget, 0, sizeof(*budget));
	budget->most = most;
	budget->window_ms = window_ms;
}

/* Returns the user's account; where there is no room for one more, that whose window began first makes way. */
static struct spent *account(struct budget *budget, uint32_t uid, int64_t now_ms)
{
	struct spent *oldest = &budget->users[0];

	for (size_t i = 0; i < budget->count; i++) {
		if (budget->users[i].uid == uid)
			return &budget->users[i];
		if (budget->users[i].since_ms < oldest->since_ms)
			oldest = &budget->users[i];
	}
	if (budget->count < BUDGET_USERS)
		oldest = &budget->users[budget->count++];
	*oldest = (struct spent){.uid = uid, .since_ms = now_ms};
	return oldest;
}

bool budget_take(struct budget *budget, uint32_t uid, int64_t now_ms)
{
	struct spent *spent;

	if (uid == 0)
		return true;
	spent = account(budget, uid, now_ms);
	if (now_ms - spent->since_ms >= budget->window_ms) {
		spent->since_ms = now_ms;
		spent->count = 0;
	}
	if (spent->count >= budget->most)
		return false;
	spent->count++;
	return true;
}
