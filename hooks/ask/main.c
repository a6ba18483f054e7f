/* SPDX-License-Identifier: Apache-2.0 */
/* sifgate-ask: asks the agent of this node on behalf of a program that can only call another one. */
#include "modes.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*mode)(const struct caller *caller);
} modes[] = {
	{"oci", mode_oci}, {"notice", mode_notice}, {"enroot", mode_enroot}, {"run", mode_run}, {"submit", mode_submit},
};

static int usage(const char *problem)
{
	(void)fprintf(stderr,
		      "sifgate-ask: %s\n"
		      "usage: sifgate-ask [--socket PATH] [--posture PATH] MODE\n"
		      "  oci                          the state of a container on standard input, as an OCI runtime gives it\n"
		      "  notice                       the warning of this container's creation, at its start\n"
		      "  enroot                       in a hook of Enroot\n"
		      "  run --bundle DIR | --rootfs PATH [--job N] [--step N] [--rank N] -- RUNTIME WORDS\n"
		      "  submit [--deadline MS] [--cwd DIR] [--uid N --gid N] [--script FILE|-] [-- COMMAND...]\n",
		      problem);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct options options;
	struct facts facts;
	struct posture posture;
	struct caller caller = {&options, &facts, &posture};

	(void)argc;
	options_parse(argv, &options);
	if (options.problem != NULL)
		return usage(options.problem);
	facts_read(&options, &facts);
	posture_read(options.posture, &posture);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, options.mode) == 0)
			return modes[i].mode(&caller);
	}
	return usage("unknown mode");
}
