/* SPDX-License-Identifier: Apache-2.0 */
/* One event, from /proc and the agent to allow or deny. May take as long as it likes: the responder does not wait. */
#ifndef SIFGATE_GUARD_JUDGE_H
#define SIFGATE_GUARD_JUDGE_H

#include "config.h"
#include "message.h"

/* Fills in `verdict`. `process` (a pidfd, or -1) and `event` stay the caller's. */
void judge(const struct config *config, const struct work *work, int process, int event, struct verdict *verdict);

#endif
