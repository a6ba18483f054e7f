/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *key;
	size_t offset;
	const char *fallback;
} table[] = {
	{"socket", offsetof(struct args, socket), "/run/sifgate/agent.sock"},
	{"posture", offsetof(struct args, posture), "/etc/sifgate/posture"},
	{"scancel", offsetof(struct args, scancel), "/usr/bin/scancel"},
	{"timing", offsetof(struct args, timing), ""},
};

#define KEYS (sizeof(table) / sizeof(table[0]))

static void set(struct args *args, size_t row, const char *value)
{
	(void)snprintf((char *)args + table[row].offset, PATH_MAX, "%s", value);
}

static size_t find(const char *word, const char **value)
{
	for (size_t row = 0; row < KEYS; row++) {
		size_t length = strlen(table[row].key);

		if (strncmp(word, table[row].key, length) == 0 && word[length] == '=') {
			*value = word + length + 1;
			return row;
		}
	}
	return KEYS;
}

static void complain(struct args *args, const char *what, const char *word)
{
	int wrote = snprintf(args->problem, sizeof(args->problem), "plugstack.conf: %s \"%.80s\" (keys:", what, word);

	for (size_t row = 0; row < KEYS && wrote > 0 && (size_t)wrote < sizeof(args->problem); row++)
		wrote += snprintf(args->problem + wrote, sizeof(args->problem) - (size_t)wrote, " %s%s",
				  table[row].key, row + 1 < KEYS ? "=" : "=)");
}

void args_parse(int count, char **values, struct args *args)
{
	memset(args, 0, sizeof(*args));
	for (size_t row = 0; row < KEYS; row++)
		set(args, row, table[row].fallback);
	for (int i = 0; i < count; i++) {
		const char *value = NULL;
		size_t row = find(values[i], &value);

		if (row == KEYS) {
			complain(args, "unknown argument", values[i]);
			return;
		}
		if (value[0] != '/' || strlen(value) >= PATH_MAX) {
			complain(args, "not an absolute path in", values[i]);
			return;
		}
		set(args, row, value);
	}
}
