/* SPDX-License-Identifier: Apache-2.0 */
/* The opens that wait and the askers that find out: who is asked, who answered, whose time is over. Never waits. */
#ifndef SIFGATE_GUARD_DESK_H
#define SIFGATE_GUARD_DESK_H

#include "budget.h"
#include "responder.h"
#include "table.h"

#include <sys/fanotify.h>

struct desk {
	const struct config *config;
	struct table table;
	struct budget budget;
	struct staff staff;
	uint64_t busy[ASKERS_MAX];	/* id of what each asker is at; 0: nothing */
	int64_t stale[ASKERS_MAX];	/* since when its answer is not wanted any more; 0: it is */
	struct pulse pulse;
	int64_t pulsed_ms;
};

void desk_init(struct desk *desk, const struct config *config, const struct staff *staff);

/* Answers an open and closes the event's descriptor. */
void desk_answer(int group, int event, bool deny);

/* Keeps an open waiting for an asker; `process` is its pidfd or -1. Both descriptors are the desk's from now on. */
void desk_wait(struct desk *desk, int group, const struct fanotify_event_metadata *event, int process, enum kind kind);

/* Gives waiting opens to idle askers; no user holds more than half of them. */
void desk_dispatch(struct desk *desk);

void desk_take_verdict(struct desk *desk, uint32_t asker);

/* Takes the sockets of new askers from the watchdog. */
void desk_take_renewal(struct desk *desk);

/* Answers what is overdue, has askers ended that are still at it a while later, and gives a sign of life in time. */
void desk_keep_time(struct desk *desk);

/* Gives a sign of life, and asks for the end of an asker (its index + 1; 0: none). */
void desk_pulse(struct desk *desk, uint32_t kill_asker);

/* Receives a message of fixed size, with a descriptor or -1; returns false where there is none now. */
bool desk_receive(int socket, void *message, size_t size, int *descriptor);

#endif
