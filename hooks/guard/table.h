/* SPDX-License-Identifier: Apache-2.0 */
/* The opens that wait for an answer, each with the moment at which it gets one whatever happens. Does no I/O. */
#ifndef SIFGATE_GUARD_TABLE_H
#define SIFGATE_GUARD_TABLE_H

#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_MAX 4096u
#define NO_ASKER UINT32_MAX

struct pending {
	uint64_t id;		/* never used again: a late verdict finds nothing */
	int64_t until_ms;
	int group;		/* the fanotify descriptor that waits for the answer */
	int event;		/* the event's descriptor */
	int process;		/* pidfd, or -1 */
	int32_t pid;
	uint32_t uid;
	uint32_t asker;		/* who finds out, or NO_ASKER */
	enum kind kind;
	uint8_t tries;		/* askers that have died of it */
	bool used;
};

struct table {
	struct pending entries[TABLE_MAX];
	size_t capacity;
	size_t count;
	size_t unasked;
	uint64_t next;
};

/* Makes the table empty, for at most `capacity` opens. */
void table_init(struct table *table, size_t capacity);

/* Returns a free entry with its id set, or NULL where the table is full. */
struct pending *table_add(struct table *table);

void table_remove(struct table *table, struct pending *pending);

/* Returns the entry of that id, or NULL. */
struct pending *table_find(struct table *table, uint64_t id);

/* Returns the oldest entry that nobody was asked about and whose user holds fewer than `share` askers, or NULL. */
struct pending *table_next(struct table *table, size_t share);

/* Says who finds out about the entry; NO_ASKER: nobody (any more). */
void table_assign(struct table *table, struct pending *pending, uint32_t asker);

/* Returns an entry whose time is over, or NULL. */
struct pending *table_overdue(struct table *table, int64_t now_ms);

/* Returns milliseconds until the next entry's time is over, at most `most`. */
int table_wait(const struct table *table, int64_t now_ms, int most);

#endif
