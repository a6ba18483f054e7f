/* SPDX-License-Identifier: Apache-2.0 */
/* Asks, obeys the answer or the posture, and tells the user. */
#ifndef SIFGATE_ASK_REPLY_H
#define SIFGATE_ASK_REPLY_H

#include "converse.h"
#include "posture.h"

#include "facts.h"
#include "voice.h"

enum reply {
	REPLY_GO,
	REPLY_REFUSED,
	REPLY_UNDECIDED,	/* nobody decided, and the posture says block */
};

struct question {
	const struct options *options;
	const struct facts *facts;
	const struct posture *posture;
	unsigned deadline_ms;
	enum voice voice;
	bool (*abandoned)(void);	/* says that the time is over; may be NULL */
	bool in_advance;	/* before a job exists: the launch itself will be judged too */
	bool starts_container;	/* for certain: without an agent the posture counts */
};

/* Sends `ask`, which is freed, and returns what is to be done. */
enum reply reply_get(const struct question *question, struct wire_writer *ask);

#endif
