/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's pure parts, one verb each, for tests/native/test_guard.py. Files hold what a test wants parsed. */
#include "budget.h"
#include "config.h"
#include "magic.h"
#include "table.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct words slurp(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *bytes = malloc(8u << 20);
	struct words words = {.bytes = bytes};

	if (file == NULL || bytes == NULL)
		exit(2);
	words.length = fread(bytes, 1, 8u << 20, file);
	(void)fclose(file);
	/* Exactly as long as the content: a sanitizer sees every byte read beyond it. */
	words.bytes = memcpy(malloc(words.length + (words.length == 0)), bytes, words.length);
	free(bytes);
	return words;
}

static void show_config(const char *path)
{
	static struct config config;
	char problem[512] = "";
	const char *wrong;

	config_defaults(&config);
	config.target_count = config.allowed_count = 0;
	if (config_read(&config, path, problem, sizeof(problem)) != 0) {
		(void)printf("refused: %s\n", problem);
		return;
	}
	wrong = config_check(&config);
	(void)printf("level %d deadline %u answer %u askers %u check %s\n", (int)config.level, config.deadline_ms,
		     config_answer_ms(&config), config.askers, wrong != NULL ? wrong : "fine");
	for (size_t i = 0; i < config.target_count; i++)
		(void)printf("target %d %s [%s]\n", (int)config.targets[i].kind, config.targets[i].path, config.targets[i].test);
	for (size_t i = 0; i < config.allowed_count; i++)
		(void)printf("allow %s [%s]\n", config.allowed[i].path, config.allowed[i].words);
}

/* Commands: a UID UNTIL (add) · n SHARE (next) · s ID ASKER (assign; -1 none) · r ID (remove) · o NOW · w NOW · f ID */
static void play_table(size_t capacity)
{
	static struct table table;
	long first;
	long second;
	char verb;

	table_init(&table, capacity);
	while (scanf(" %c %ld", &verb, &first) == 2) {
		struct pending *entry = NULL;

		if (verb == 'a' && scanf("%ld", &second) == 1) {
			entry = table_add(&table);
			if (entry != NULL) {
				entry->uid = (uint32_t)first;
				entry->until_ms = second;
			}
		} else if (verb == 'n') {
			entry = table_next(&table, (size_t)first);
		} else if (verb == 'o') {
			entry = table_overdue(&table, first);
		} else if (verb == 'w') {
			(void)printf("%d ", table_wait(&table, first, 200));
			continue;
		} else {
			entry = table_find(&table, (uint64_t)first);
			if (verb == 's' && scanf("%ld", &second) == 1 && entry != NULL)
				table_assign(&table, entry, second < 0 ? NO_ASKER : (uint32_t)second);
			if (verb == 'r' && entry != NULL)
				table_remove(&table, entry);
		}
		(void)printf("%ld ", entry != NULL ? (long)entry->id : -1L);
	}
	(void)printf("count %zu unasked %zu\n", table.count, table.unasked);
}

static void play_budget(uint32_t most, int64_t window)
{
	static struct budget budget;
	unsigned uid;
	long now;

	budget_init(&budget, most, window);
	while (scanf("%u %ld", &uid, &now) == 2)
		(void)putchar(budget_take(&budget, uid, now) ? 'y' : 'n');
	(void)putchar('\n');
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";

	if (strcmp(verb, "config") == 0) {
		show_config(argv[2]);
	} else if (strcmp(verb, "table") == 0) {
		play_table(strtoul(argv[2], NULL, 10));
	} else if (strcmp(verb, "budget") == 0) {
		play_budget((uint32_t)strtoul(argv[2], NULL, 10), 1000);
	} else {
		struct words words = slurp(argv[2]);
		char image[4096];
		struct bundle bundle;

		if (strcmp(verb, "engine") == 0)
			(void)puts(words_engine_image(&words, image, sizeof(image)) ? image : "(none)");
		else if (strcmp(verb, "bundle") == 0 && words_bundle(&words, &bundle))
			(void)printf("%s %s\n", bundle.directory != NULL ? bundle.directory : "-",
				     bundle.config != NULL ? bundle.config : "-");
		else if (strcmp(verb, "transport") == 0)
			(void)puts(words_name_transport(&words) ? "yes" : "no");
		else if (strcmp(verb, "magic") == 0)
			(void)puts(magic_is_image(words.bytes, words.length) ? "yes" : "no");
		else
			(void)puts("(none)");
		free((void *)words.bytes);
	}
	return 0;
}
