/* SPDX-License-Identifier: Apache-2.0 */
#include "allowlist.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define WORD_LIMIT 64u

/* The first word behind the program's name decides what a program with several verbs does. */
static bool first_word_is_among(const struct process *process, const char *words)
{
	char wanted[WORD_LIMIT + 3];
	size_t at = 0;
	const char *word = words_next(&process->arguments, &at);

	word = word != NULL ? words_next(&process->arguments, &at) : NULL;
	if (word == NULL || word[0] == '\0' || strlen(word) > WORD_LIMIT || strchr(word, ' ') != NULL)
		return false;
	(void)snprintf(wanted, sizeof(wanted), " %s ", word);
	return strstr(words, wanted) != NULL;
}

bool allowlist_holds(const struct config *config, const struct process *process)
{
	struct stat program;

	if (fstatat(process->directory, "exe", &program, 0) != 0 || program.st_uid != 0 ||
	    (program.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return false;
	for (size_t i = 0; i < config->allowed_count; i++) {
		const struct allowed *allowed = &config->allowed[i];
		char path[sizeof(config->tree) + sizeof(allowed->path)];
		struct stat found;

		(void)snprintf(path, sizeof(path), "%s%s", config->tree[1] != '\0' ? config->tree : "", allowed->path);
		if (stat(path, &found) == 0 && found.st_dev == program.st_dev && found.st_ino == program.st_ino &&
		    (allowed->words[0] == '\0' || first_word_is_among(process, allowed->words)))
			return true;
	}
	return false;
}
