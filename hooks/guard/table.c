/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <string.h>

void table_init(struct table *table, size_t capacity)
{
	memset(table, 0, sizeof(*table));
	table->capacity = capacity < TABLE_MAX ? capacity : TABLE_MAX;
	table->next = 1;
}

struct pending *table_add(struct table *table)
{
	for (size_t tried = 0; tried < table->capacity && table->count < table->capacity; tried++) {
		struct pending *entry = &table->entries[table->next % table->capacity];
		uint64_t id = table->next++;

		if (entry->used)
			continue;
		memset(entry, 0, sizeof(*entry));
		entry->id = id;
		entry->used = true;
		entry->process = -1;
		entry->asker = NO_ASKER;
		table->count++;
		table->unasked++;
		return entry;
	}
	return NULL;
}

void table_remove(struct table *table, struct pending *pending)
{
	table_assign(table, pending, NO_ASKER);
	table->unasked--;
	table->count--;
	pending->used = false;
}

struct pending *table_find(struct table *table, uint64_t id)
{
	struct pending *entry = table->capacity > 0 ? &table->entries[id % table->capacity] : NULL;

	return entry != NULL && entry->used && entry->id == id ? entry : NULL;
}

static size_t held_by(const struct table *table, uint32_t uid)
{
	size_t held = 0;

	for (size_t i = 0; i < table->capacity; i++) {
		const struct pending *entry = &table->entries[i];

		held += entry->used && entry->uid == uid && entry->asker != NO_ASKER;
	}
	return held;
}

struct pending *table_next(struct table *table, size_t share)
{
	struct pending *oldest = NULL;
	uint32_t full[ASKERS_MAX];	/* users that hold their share: never more of them than askers */
	size_t full_count = 0;

	for (size_t i = 0; table->unasked > 0 && i < table->capacity; i++) {
		struct pending *entry = &table->entries[i];
		bool skip = !entry->used || entry->asker != NO_ASKER || (oldest != NULL && oldest->id < entry->id);

		for (size_t j = 0; !skip && j < full_count; j++)
			skip = full[j] == entry->uid;
		if (skip)
			continue;
		if (held_by(table, entry->uid) < share)
			oldest = entry;
		else if (full_count < ASKERS_MAX)
			full[full_count++] = entry->uid;
	}
	return oldest;
}

void table_assign(struct table *table, struct pending *pending, uint32_t asker)
{
	if (pending->asker == NO_ASKER && asker != NO_ASKER)
		table->unasked--;
	else if (pending->asker != NO_ASKER && asker == NO_ASKER)
		table->unasked++;
	pending->asker = asker;
}

struct pending *table_overdue(struct table *table, int64_t now_ms)
{
	for (size_t i = 0; table->count > 0 && i < table->capacity; i++) {
		struct pending *entry = &table->entries[i];

		if (entry->used && entry->until_ms <= now_ms)
			return entry;
	}
	return NULL;
}

int table_wait(const struct table *table, int64_t now_ms, int most)
{
	int64_t least = most;

	for (size_t i = 0; table->count > 0 && i < table->capacity; i++) {
		const struct pending *entry = &table->entries[i];

		if (entry->used && entry->until_ms - now_ms < least)
			least = entry->until_ms - now_ms;
	}
	return least > 0 ? (int)least : 0;
}
