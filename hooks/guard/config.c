/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "trustfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LEAST_PATIENCE_MS 500u	/* for a conversation, beside its grace */
#define GRACE_MS 1000u		/* plugin/client/converse.c */

static const struct {
	enum kind kind;
	const char *path;
} usual[] = {
	{KIND_STARTER, "/usr/libexec/*/bin/starter"},
	{KIND_STARTER, "/usr/libexec/*/bin/starter-suid"},
	{KIND_STARTER, "/usr/lib/*/*/bin/starter"},
	{KIND_STARTER, "/usr/lib/*/*/bin/starter-suid"},
	{KIND_STARTER, "/usr/local/libexec/*/bin/starter"},
	{KIND_STARTER, "/usr/local/libexec/*/bin/starter-suid"},
	{KIND_WITNESS, "/etc/apptainer/ecl.toml"},
	{KIND_WITNESS, "/etc/singularity/ecl.toml"},
	{KIND_WITNESS, "/usr/local/etc/*/ecl.toml"},
	{KIND_MOUNTER, "/usr/bin/squashfuse"},
	{KIND_MOUNTER, "/usr/bin/squashfuse_ll"},
	{KIND_MOUNTER, "/usr/libexec/apptainer/bin/squashfuse_ll"},
	{KIND_MOUNTER, "/usr/local/libexec/*/bin/squashfuse_ll"},
	{KIND_OCI, "/usr/bin/crun"},
	{KIND_OCI, "/usr/bin/runc"},
	{KIND_OCI, "/usr/local/bin/crun"},
	{KIND_OCI, "/usr/local/bin/runc"},
	{KIND_OCI, "/usr/local/sbin/runc"},
};

/* They read or copy whole files and start nothing. */
static const char *const readers[] = {
	"/usr/bin/b2sum", "/usr/bin/cat", "/usr/bin/cmp", "/usr/bin/cp", "/usr/bin/dd", "/usr/bin/file",
	"/usr/bin/grep", "/usr/bin/gzip", "/usr/bin/head", "/usr/bin/install", "/usr/bin/md5sum", "/usr/bin/mksquashfs",
	"/usr/bin/mv", "/usr/bin/od", "/usr/bin/rsync", "/usr/bin/scp", "/usr/bin/sha1sum", "/usr/bin/sha256sum",
	"/usr/bin/sha512sum", "/usr/bin/tail", "/usr/bin/tar", "/usr/bin/unsquashfs", "/usr/bin/wc", "/usr/bin/xxd",
	"/usr/bin/zstd", "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
};

static const char building[] = " build cache inspect key push sif sign verify ";
static const char *const builders[] = {"/usr/bin/apptainer", "/usr/bin/apptainer.real", "/usr/bin/singularity"};

static bool add_target(struct config *config, enum kind kind, const char *path, const char *test)
{
	struct target *target = &config->targets[config->target_count];

	if (config->target_count >= CONFIG_TARGETS || path[0] != '/' || strlen(path) >= sizeof(target->path) ||
	    strlen(test) >= sizeof(target->test))
		return false;
	target->kind = kind;
	(void)strcpy(target->path, path);
	(void)strcpy(target->test, test);
	config->target_count++;
	return true;
}

static bool add_allowed(struct config *config, const char *path, const char *words)
{
	struct allowed *allowed = &config->allowed[config->allowed_count];

	if (config->allowed_count >= CONFIG_ALLOWED || path[0] != '/' || strlen(path) >= sizeof(allowed->path) ||
	    strlen(words) + 3 > sizeof(allowed->words))
		return false;
	(void)strcpy(allowed->path, path);
	allowed->words[0] = '\0';
	if (words[0] != '\0')
		(void)snprintf(allowed->words, sizeof(allowed->words), " %s ", words);
	config->allowed_count++;
	return true;
}

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->level = LEVEL_RUNTIME;
	config->deadline_ms = 10000;
	config->watchdog_ms = 2000;
	config->askers = 8;
	config->late_budget = 8;
	config->late_window_s = 600;
	config->flush_s = 60;
	(void)strcpy(config->socket, "/run/sifgate/agent.sock");
	(void)strcpy(config->posture, "/etc/sifgate/posture");
	(void)strcpy(config->state, "/run/sifgate/guard.state");
	(void)strcpy(config->tree, "/");
	for (size_t i = 0; i < COUNT(usual); i++)
		(void)add_target(config, usual[i].kind, usual[i].path, "");
	for (size_t i = 0; i < COUNT(readers); i++)
		(void)add_allowed(config, readers[i], "");
	for (size_t i = 0; i < COUNT(builders); i++)
		(void)add_allowed(config, builders[i], building);
}

static bool take_number(const char *value, unsigned least, unsigned most, unsigned *number)
{
	char *end = NULL;
	unsigned long found;

	errno = 0;
	found = strtoul(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || found < least || found > most)
		return false;
	*number = (unsigned)found;
	return true;
}

static bool take_text(const char *value, char *text, size_t size)
{
	size_t length = strlen(value);

	if (value[0] != '/' || length >= size)
		return false;
	memcpy(text, value, length + 1);
	return true;
}

/* Cuts the rest of the line in two: the first word, and what follows it. */
static char *cut(char *value)
{
	char *rest = value + strcspn(value, " \t");

	while (*rest == ' ' || *rest == '\t')
		*rest++ = '\0';
	return rest;
}

static bool take_level(struct config *config, const char *value)
{
	if (strcmp(value, "runtime") != 0 && strcmp(value, "image") != 0)
		return false;
	config->level = value[0] == 'i' ? LEVEL_IMAGE : LEVEL_RUNTIME;
	return true;
}

/* Drops a list, the defaults with it, so that the lines that follow are all there is. */
static bool forget(struct config *config, const char *value)
{
	if (strcmp(value, "targets") == 0)
		config->target_count = 0;
	else if (strcmp(value, "allow") == 0)
		config->allowed_count = 0;
	else
		return false;
	return true;
}

static bool take(struct config *config, const char *key, char *value)
{
	static const char *const kinds[] = {
		[KIND_STARTER] = "starter", [KIND_WITNESS] = "witness",	[KIND_MOUNTER] = "mounter",
		[KIND_OCI] = "oci", [KIND_FILESYSTEM] = "filesystem",
	};
	const struct {
		const char *key;
		unsigned *number;
		unsigned least;
		unsigned most;
	} numbers[] = {
		{"deadline_ms", &config->deadline_ms, 1000, 40000},
		{"watchdog_ms", &config->watchdog_ms, 500, 10000},
		{"askers", &config->askers, 2, ASKERS_MAX},
		{"late_budget", &config->late_budget, 0, 100000},
		{"late_window_s", &config->late_window_s, 1, 86400},
		{"flush_s", &config->flush_s, 1, 86400},
	};
	char *rest;

	for (size_t i = 0; i < COUNT(numbers); i++) {
		if (strcmp(key, numbers[i].key) == 0)
			return take_number(value, numbers[i].least, numbers[i].most, numbers[i].number);
	}
	if (strcmp(key, "level") == 0)
		return take_level(config, value);
	if (strcmp(key, "forget") == 0)
		return forget(config, value);
	if (strcmp(key, "socket") == 0)
		return take_text(value, config->socket, sizeof(config->socket));
	if (strcmp(key, "posture") == 0)
		return take_text(value, config->posture, sizeof(config->posture));
	if (strcmp(key, "state") == 0)
		return take_text(value, config->state, sizeof(config->state));
	if (strcmp(key, "tree") == 0)
		return take_text(value, config->tree, sizeof(config->tree));
	rest = cut(value);
	if (strcmp(key, "allow") == 0)
		return add_allowed(config, value, rest);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (kinds[i] != NULL && strcmp(key, kinds[i]) == 0)
			return (rest[0] == '\0' || (i == KIND_FILESYSTEM && rest[0] == '/')) &&
			       add_target(config, (enum kind)i, value, rest);
	}
	return false;
}

const char *config_line(struct config *config, char *line)
{
	size_t length = strlen(line);
	char *key = line + strspn(line, " \t");
	char *value;

	while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
		line[--length] = '\0';
	if (*key == '\0' || *key == '#')
		return NULL;
	value = cut(key);
	if (value[0] == '\0')
		return "no value";
	return take(config, key, value) ? NULL : "unknown key, or a value that it cannot have";
}

const char *config_check(const struct config *config)
{
	bool image = false;

	if (config->deadline_ms < config->watchdog_ms + LEAST_PATIENCE_MS + GRACE_MS)
		return "deadline_ms must be at least watchdog_ms + 1500";
	for (size_t i = 0; i < config->target_count; i++)
		image = image || config->targets[i].kind == KIND_FILESYSTEM;
	if (config->level == LEVEL_IMAGE && !image)
		return "level image needs at least one `filesystem` line";
	return NULL;
}

unsigned config_answer_ms(const struct config *config)
{
	return config->deadline_ms - config->watchdog_ms;
}

int config_read(struct config *config, const char *path, char *problem, size_t size)
{
	FILE *file = trustfile_open(path, problem, size);
	const char *wrong = NULL;
	size_t room = 0;
	char *line = NULL;
	int number = 0;

	if (file == NULL)
		return access(path, F_OK) != 0 && errno == ENOENT ? 0 : -1;
	while (wrong == NULL && getline(&line, &room, file) >= 0) {
		number++;
		wrong = config_line(config, line);
	}
	if (wrong != NULL)
		(void)snprintf(problem, size, "%s:%d: %s", path, number, wrong);
	free(line);
	(void)fclose(file);
	return wrong == NULL ? 0 : -1;
}
