/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include "../client/environment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slurm/slurm.h>

#define SCRIPT_LIMIT (256u << 10)

/* Options of other SPANK plugins that name an image, and the variable in which Slurm would hand them on. */
static const struct {
	const char *option;
	const char *variable;
} foreign[LAUNCH_FOREIGN] = {
	{"container-image", "_SLURM_SPANK_OPTION_pyxis_container_image"},
	{"container-name", "_SLURM_SPANK_OPTION_pyxis_container_name"},
	{"singularity-container", "_SLURM_SPANK_OPTION_singularity_exec_singularity_container"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char cwd[PATH_MAX];

void launch_remember_cwd(void)
{
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		cwd[0] = '\0';
}

bool launch_is_batch(const struct launch *launch)
{
	return launch->step == SLURM_BATCH_SCRIPT;
}

bool launch_is_extern(const struct launch *launch)
{
	return launch->step == SLURM_EXTERN_CONT;
}

/* Slurm finds an option by its name, whoever registered it: so the image of pyxis is seen here too. */
static void read_foreign_options(spank_t spank, struct launch *launch)
{
	for (size_t i = 0; i < COUNT(foreign); i++) {
		struct spank_option option = {.name = (char *)(uintptr_t)foreign[i].option, .has_arg = 1};
		char *value = NULL;

		if (spank_option_getopt(spank, &option, &value) == ESPANK_SUCCESS)
			launch->foreign[i] = value;
	}
}

static uint32_t read_number(spank_t spank, const char *name)
{
	char digits[16];
	char *end;
	unsigned long number;

	if (spank_getenv(spank, name, digits, (int)sizeof(digits)) != ESPANK_SUCCESS || digits[0] < '0' || digits[0] > '9')
		return 0;
	number = strtoul(digits, &end, 10);
	return *end == '\0' && number < NO_VAL ? (uint32_t)number : 0;
}

static void read_het(spank_t spank, struct launch *launch)
{
	launch->het_size = read_number(spank, "SLURM_HET_SIZE");
	launch->het_job = read_number(spank, "SLURM_JOB_ID");
	if (launch->het_size < 2 || launch->het_size > LAUNCH_HET_MAX || launch->het_job == 0)
		launch->het_size = 0;
}

int launch_read(spank_t spank, struct launch *launch)
{
	int groups = 0;

	memset(launch, 0, sizeof(*launch));
	if (spank_get_item(spank, S_JOB_UID, &launch->user.uid) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_GID, &launch->user.gid) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_ID, &launch->job) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_STEPID, &launch->step) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_ARGV, &launch->argc, &launch->argv) != ESPANK_SUCCESS)
		return -1;
	if (spank_get_item(spank, S_JOB_SUPPLEMENTARY_GIDS, &launch->user.groups, &groups) == ESPANK_SUCCESS &&
	    groups > 0)
		launch->user.group_count = (size_t)groups;
	if (spank_get_item(spank, S_JOB_NNODES, &launch->nodes) != ESPANK_SUCCESS || launch->nodes == 0)
		launch->nodes = 1;	/* a batch step says 0 */
	if (spank_get_item(spank, S_JOB_ARRAY_ID, &launch->array) != ESPANK_SUCCESS || launch->array == 0 ||
	    launch->array >= NO_VAL)
		launch->array = launch->job;
	(void)spank_get_item(spank, S_JOB_NODEID, &launch->node);
	(void)spank_get_item(spank, S_TASK_GLOBAL_ID, &launch->task);
	(void)spank_get_item(spank, S_JOB_ENV, &launch->env);
	read_het(spank, launch);
	read_foreign_options(spank, launch);
	return 0;
}

/*
 * SPANK does not say that a step was started with --multi-prog. Then argv[1] is the whole text of the file, each line
 * "RANKS COMMAND". The agent reads such a step both ways, so that a word made to look like it hides nothing.
 */
static bool looks_like_multiprog(const struct launch *launch)
{
	const char *line = launch->argc >= 2 ? launch->argv[1] : NULL;

	while (line != NULL && *line != '\0') {
		size_t ranks;

		line += strspn(line, " \t\n");
		if (*line == '#') {
			line = strchr(line, '\n');
			continue;
		}
		ranks = strspn(line, "0123456789,-:*");
		return ranks > 0 && (line[ranks] == ' ' || line[ranks] == '\t');
	}
	return false;
}

static void add_script(const struct launch *launch, struct wire_writer *ask)
{
	char *text = malloc(SCRIPT_LIMIT);
	size_t size = 0;
	ssize_t got = 1;
	int fd = launch->argc > 0 ? identity_open(&launch->user, launch->argv[0], "/") : -1;

	while (fd >= 0 && text != NULL && got != 0 && size < SCRIPT_LIMIT) {
		got = read(fd, text + size, SCRIPT_LIMIT - size);
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			size += (size_t)got;
	}
	if (text != NULL)
		wire_bytes(ask, "script", text, size);
	if (fd >= 0)
		close(fd);
	free(text);
}

static void add_foreign(const char *variable, const char *value, struct wire_writer *ask)
{
	char setting[PATH_MAX + 128];

	if (value == NULL)
		return;
	(void)snprintf(setting, sizeof(setting), "%s=%s", variable, value);
	wire_string(ask, "env", setting);
}

static void add_words(const struct launch *launch, struct wire_writer *ask)
{
	for (int i = 0; i < launch->argc && launch->argv[i] != NULL; i++)
		wire_string(ask, "arg", launch->argv[i]);
	for (char **variable = launch->env; variable != NULL && *variable != NULL; variable++) {
		if (environment_is_read(*variable))
			wire_string(ask, "env", *variable);
	}
	for (size_t i = 0; i < COUNT(foreign); i++)
		add_foreign(foreign[i].variable, launch->foreign[i], ask);
	if (looks_like_multiprog(launch))
		wire_string(ask, "multiprog", "1");
}

static void add_facts(const struct launch *launch, const char *reason, unsigned deadline_ms, struct wire_writer *ask)
{
	char host[HOST_NAME_MAX + 1];

	wire_string(ask, "door", "spank");
	wire_number(ask, "uid", launch->user.uid);
	wire_number(ask, "gid", launch->user.gid);
	wire_number(ask, "job", launch->job);
	wire_number(ask, "step", launch->step);
	wire_number(ask, "nodes", launch->nodes);
	wire_number(ask, "task", launch->task);
	if (gethostname(host, sizeof(host)) == 0)	/* SLURMD_NODENAME comes from the user at this moment */
		wire_string(ask, "node", host);
	if (cwd[0] != '\0')
		wire_string(ask, "cwd", cwd);
	if (reason[0] != '\0')
		wire_string(ask, "reason", reason);
	wire_number(ask, "deadline_ms", deadline_ms);
}

void launch_ask(const struct launch *launch, const char *reason, unsigned deadline_ms, struct wire_writer *ask)
{
	const char *verb = launch_is_batch(launch) ? "prescan" : "ask";

	wire_begin(ask, verb);
	add_facts(launch, reason, deadline_ms, ask);
	if (launch_is_batch(launch))
		add_script(launch, ask);
	else
		add_words(launch, ask);
	if (!ask->broken)
		return;
	wire_begin(ask, verb);		/* too long to send: say so, the state is `unresolved` */
	add_facts(launch, reason, deadline_ms, ask);
	wire_string(ask, "truncated", "1");
}

bool launch_names_runtime(const struct launch *launch)
{
	static const char *const settings[] = {"SLURM_CONTAINER=", "PYXIS_CONTAINER_IMAGE=", "SLURM_SINGULARITY_CONTAINER="};

	for (size_t i = 0; i < COUNT(foreign); i++) {
		if (launch->foreign[i] != NULL)
			return true;
	}
	for (int i = 0; i < launch->argc && launch->argv[i] != NULL; i++) {
		if (environment_names_runtime(launch->argv[i]))
			return true;
	}
	for (char **variable = launch->env; variable != NULL && *variable != NULL; variable++) {
		for (size_t i = 0; i < COUNT(settings); i++) {
			if (strncmp(*variable, settings[i], strlen(settings[i])) == 0)
				return true;
		}
	}
	return false;
}
