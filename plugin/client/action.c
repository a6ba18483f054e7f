/* SPDX-License-Identifier: Apache-2.0 */
#include "action.h"

static const char *const words[] = {
	[ACTION_ALLOW] = "allow",
	[ACTION_LOG] = "log",
	[ACTION_WARN] = "warn",
	[ACTION_BLOCK] = "block",
};

bool action_parse(struct wire_text text, enum action *action)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (wire_is(text, words[i])) {
			*action = (enum action)i;
			return true;
		}
	}
	return false;
}

const char *action_word(enum action action)
{
	return words[action];
}
