/* SPDX-License-Identifier: Apache-2.0 */
#include "flags.h"

#include <stdlib.h>
#include <string.h>

#define OWN_WORDS 10	/* pull, flags of ours, --, target, image, NULL */

/* Flags that the launching commands and `pull` share, in every release of both runtimes; none has a short form. */
static const char *const plain[] = {
	"--no-https", "--nohttps", "--disable-cache", "--docker-login", "--oci", "--no-oci", "--keep-layers",
};
static const char *const valued[] = {"--docker-username", "--docker-password", "--docker-host", "--authfile"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Returns whether a word is the flag, by itself or with "=value". */
static bool is_flag(const char *word, const char *flag)
{
	size_t length = strlen(flag);

	return strncmp(word, flag, length) == 0 && (word[length] == '\0' || word[length] == '=');
}

static bool is_one_of(const char *word, const char *const *flags, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_flag(word, flags[i]))
			return true;
	}
	return false;
}

/* Returns the index of the command: root flags come before it, and only -c and --config of them take a value. */
static unsigned command_of(const struct launch *launch, unsigned word)
{
	unsigned at = 1;

	while (at < word && launch->words[at][0] == '-')
		at += strcmp(launch->words[at], "-c") == 0 || strcmp(launch->words[at], "--config") == 0 ? 2 : 1;
	return at < word ? at : word;
}

const char **flags_of_pull(const struct launch *launch, unsigned word, const char *target)
{
	const char **words = calloc(word + OWN_WORDS, sizeof(*words));
	unsigned command = command_of(launch, word);
	unsigned count = 0;

	if (words == NULL)
		return NULL;
	for (unsigned at = 0; at < command; at++)
		words[count++] = launch->words[at];
	words[count++] = "pull";
	for (unsigned at = command; at < word; at++) {
		const char *flag = launch->words[at];

		if (is_one_of(flag, plain, COUNT(plain))) {
			words[count++] = flag;
		} else if (is_one_of(flag, valued, COUNT(valued))) {
			words[count++] = flag;
			if (strchr(flag, '=') == NULL && at + 1 < word)
				words[count++] = launch->words[++at];
		}
	}
	words[count++] = "--force";
	words[count++] = "--dir";	/* the user's PULLDIR would be put before the target */
	words[count++] = "/";
	if (strncmp(launch->words[word], "library:", strlen("library:")) == 0)
		words[count++] = "--allow-unsigned";	/* a launch asks for no signature either */
	words[count++] = "--";
	words[count++] = target;
	words[count] = launch->words[word];
	return words;
}

bool flags_say(const struct launch *launch, unsigned word, const char *name)
{
	for (unsigned at = 1; at < word; at++) {
		if (is_flag(launch->words[at], name))
			return true;
	}
	return false;
}
