/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_ACTION_H
#define SIFGATE_ACTION_H

#include "wire.h"

/* The four words of a decision, weakest first. */
enum action { ACTION_ALLOW, ACTION_LOG, ACTION_WARN, ACTION_BLOCK };

/* Returns true and the action that `text` names, false for any other word. */
bool action_parse(struct wire_text text, enum action *action);

const char *action_word(enum action action);

#endif
