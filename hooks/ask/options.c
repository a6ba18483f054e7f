/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "posture.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	size_t place;
} known[] = {
	{"--socket", offsetof(struct options, socket)}, {"--posture", offsetof(struct options, posture)},
	{"--deadline", offsetof(struct options, deadline)}, {"--cwd", offsetof(struct options, cwd)},
	{"--uid", offsetof(struct options, uid)}, {"--gid", offsetof(struct options, gid)},
	{"--job", offsetof(struct options, job)}, {"--step", offsetof(struct options, step)},
	{"--rank", offsetof(struct options, rank)}, {"--script", offsetof(struct options, script)},
	{"--rootfs", offsetof(struct options, rootfs)}, {"--bundle", offsetof(struct options, bundle)},
};

static const char **place_of(struct options *options, const char *word)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, word) == 0)
			return (const char **)(void *)((char *)options + known[i].place);
	}
	return NULL;
}

/* Takes the option at `*at` with its value; returns what is wrong with it, or NULL. */
static const char *take(struct options *options, char ***at)
{
	const char **place = place_of(options, **at);

	if (place == NULL)
		return "unknown option";
	if (*place != NULL)
		return "an option is given twice";
	(*at)++;
	if (**at == NULL)
		return "an option lacks its value";
	*place = **at;
	return NULL;
}

void options_parse(char **argv, struct options *options)
{
	char **at = argv[0] != NULL ? argv + 1 : argv;

	memset(options, 0, sizeof(*options));
	for (; *at != NULL && options->problem == NULL; at++) {
		if (strcmp(*at, "--") == 0) {
			at++;
			break;
		}
		if (strncmp(*at, "--", 2) == 0)
			options->problem = take(options, &at);
		else if (options->mode == NULL)
			options->mode = *at;
		else
			options->problem = "unexpected word";
	}
	options->words = at;
	if (options->socket == NULL)
		options->socket = SOCKET_PATH;
	if (options->posture == NULL)
		options->posture = POSTURE_PATH;
	if (options->problem == NULL && options->mode == NULL)
		options->problem = "no mode";
}

bool options_number(const char *text, unsigned long limit, unsigned *number)
{
	char *end = NULL;
	unsigned long value;

	if (text == NULL || text[0] < '0' || text[0] > '9' || strlen(text) > 10)
		return false;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || value > limit)
		return false;
	*number = (unsigned)value;
	return true;
}
