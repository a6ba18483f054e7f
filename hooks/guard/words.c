/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS_MAX 64
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *words_next(const struct words *words, size_t *at)
{
	const char *word = words->bytes + *at;
	const char *end;

	if (*at >= words->length)
		return NULL;
	end = memchr(word, '\0', words->length - *at);
	if (end == NULL)
		return NULL;	/* cut off */
	*at += (size_t)(end - word) + 1;
	return word;
}

const char *words_variable(const struct words *environment, const char *name)
{
	size_t length = strlen(name);
	const char *variable;

	for (size_t at = 0; (variable = words_next(environment, &at)) != NULL;) {
		if (strncmp(variable, name, length) == 0 && variable[length] == '=')
			return variable + length + 1;
	}
	return NULL;
}

bool words_engine_image(const struct words *environment, char *image, size_t size)
{
	static const char *const keys[] = {"engineConfig", "jsonConfig", "image", NULL};
	char *json = malloc(environment->length + 1);
	size_t length = 0;
	bool found;

	for (int chunk = 1; json != NULL && chunk <= CHUNKS_MAX; chunk++) {
		char name[32];
		const char *part;

		(void)snprintf(name, sizeof(name), "ENGINE_CONFIG%d", chunk);
		part = words_variable(environment, name);
		if (part == NULL || length + strlen(part) > environment->length)
			break;
		memcpy(json + length, part, strlen(part));
		length += strlen(part);
	}
	found = length > 0 && json_string(json, length, keys, image, size);
	free(json);
	return found;
}

bool words_name_transport(const struct words *arguments)
{
	static const char *const transports[] = {
		"docker://", "oras://", "library://", "shub://", "http://", "https://", "oci:", "docker-daemon:",
		"docker-archive:", "oci-archive:",
	};
	const char *word;

	for (size_t at = 0; (word = words_next(arguments, &at)) != NULL;) {
		for (size_t i = 0; i < COUNT(transports); i++) {
			if (strncmp(word, transports[i], strlen(transports[i])) == 0)
				return true;
		}
	}
	return false;
}

/* Returns what follows a long option in its word: "=VALUE" or "", NULL where the word is not that option or, as
 * argp(3) allows, the beginning of it. */
static const char *long_option(const char *word, const char *name)
{
	size_t length;

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	length = strcspn(word + 2, "=");
	return length >= 3 && length <= strlen(name) && strncmp(word + 2, name, length) == 0 ? word + 2 + length : NULL;
}

/* As above for a short option, alone or behind -d: its value, or "". */
static const char *short_option(const char *word, char letter)
{
	const char *at = word + 1;

	if (word[0] != '-')
		return NULL;
	while (*at == 'd')
		at++;
	return *at == letter ? at + 1 : NULL;
}

static const char *option_value(const struct words *words, size_t *at, const char *word, const char *name)
{
	const char *rest = long_option(word, name);

	if (rest != NULL && *rest == '=')
		return rest + 1;
	if (rest == NULL)
		rest = short_option(word, name[0]);
	if (rest == NULL)
		return NULL;
	return *rest != '\0' ? rest : words_next(words, at);
}

bool words_bundle(const struct words *arguments, struct bundle *bundle)
{
	static const char *const verbs[] = {"run", "create", "restore"};
	bool starts = false;
	size_t at = 0;
	const char *word = words_next(arguments, &at);

	memset(bundle, 0, sizeof(*bundle));
	while (word != NULL && (word = words_next(arguments, &at)) != NULL) {
		const char *value = option_value(arguments, &at, word, "bundle");

		for (size_t i = 0; i < COUNT(verbs); i++)
			starts = starts || strcmp(word, verbs[i]) == 0;
		if (value != NULL)
			bundle->directory = value;
		else if (long_option(word, "config") != NULL || short_option(word, 'f') != NULL)
			bundle->config = option_value(arguments, &at, word, word[1] == '-' ? "config" : "f");
	}
	return starts;
}
