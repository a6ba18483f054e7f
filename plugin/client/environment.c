/* SPDX-License-Identifier: Apache-2.0 */
#include "environment.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {
	"HOME", "PYXIS_CONTAINER_IMAGE", "PYXIS_CONTAINER_NAME", "SCRATCH", "SLURM_CONTAINER", "SLURM_SINGULARITY_CONTAINER",
	"SLURM_SUBMIT_DIR", "TMPDIR", "USER", "WORK",
};
static const char *const prefixes[] = {"APPTAINER_", "SINGULARITY_", "APPTAINERENV_LD_", "SINGULARITYENV_LD_"};
static const char *const secrets[] = {"PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "USERNAME", "PEM"};
static const char *const marks[] = {"apptainer", "singularity", ".sif"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool holds_secret(const char *name, size_t length)
{
	for (size_t i = 0; i < COUNT(secrets); i++) {
		if (memmem(name, length, secrets[i], strlen(secrets[i])) != NULL)
			return true;
	}
	return false;
}

bool environment_is_read(const char *variable)
{
	const char *equals = strchr(variable, '=');
	size_t length = equals != NULL ? (size_t)(equals - variable) : 0;

	for (size_t i = 0; i < COUNT(names); i++) {
		if (strlen(names[i]) == length && memcmp(variable, names[i], length) == 0)
			return true;
	}
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
			return length > 0 && !holds_secret(variable, length);
	}
	return false;
}

bool environment_names_runtime(const char *word)
{
	for (size_t i = 0; i < COUNT(marks); i++) {
		if (strstr(word, marks[i]) != NULL)
			return true;
	}
	return false;
}
