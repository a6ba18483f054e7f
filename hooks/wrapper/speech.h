/* SPDX-License-Identifier: Apache-2.0 */
/* What the user is told, and how often: the rules of docs/protocol.md for a program of many ranks. */
#ifndef SIFGATE_SPEECH_H
#define SIFGATE_SPEECH_H

#include "converse.h"
#include "launch.h"
#include "posture.h"

/* Tells a decision: a refusal always (one line beside rank 0), anything milder to rank 0 and once. */
void speech_tell(const struct launch *launch, const struct answer *answer);

/* Tells what the posture does without a decision, and writes it to the system's log. */
void speech_tell_posture(const struct launch *launch, const struct posture *posture, const char *failure);

/* Tells that the judged file was replaced or removed before it could start. */
void speech_tell_replaced(const struct launch *launch);

/* Tells one line of progress, to rank 0. */
void speech_tell_progress(const struct launch *launch, struct wire_text text);

#endif
