/* SPDX-License-Identifier: Apache-2.0 */
/* A SPANK plugin with the name and the option of pyxis, and nothing else: other plugins see its option's value. */
#include <stdint.h>

#include <slurm/spank.h>

SPANK_PLUGIN(pyxis, 1)

static int take(int value, const char *text, int remote)
{
	(void)value;
	(void)text;
	(void)remote;
	return 0;
}

static struct spank_option option = {
	.name = (char *)"container-image",
	.arginfo = (char *)"IMAGE",
	.usage = (char *)"[pyxis] image of the container",
	.has_arg = 1,
	.cb = take,
};

int slurm_spank_init(spank_t spank, int count, char **values)
{
	(void)count;
	(void)values;
	return spank_option_register(spank, &option);
}
