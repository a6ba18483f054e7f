/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sifgate-guard: judges container starts where the kernel sees them, whatever started them.
 *
 *   watchdog ─┬─ responder   the fanotify groups; answers every open in time
 *             ├─ askers      /proc, the user's files, the agent
 *             └─ scout       finds what is to be marked
 */
#include "config.h"
#include "abilities.h"
#include "scout.h"
#include "watchdog.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_PATH "/etc/sifgate/guard.conf"
#define EXIT_USAGE 2
#define EXIT_DECLINED 3

static const char usage[] =
	"usage: sifgate-guard [--config FILE] [--set 'KEY VALUE']… [--without FEATURE]… [--probe]\n"
	"  --config FILE       lines `key value` (default " CONFIG_PATH "; only root may be able to write it)\n"
	"  --set 'KEY VALUE'   one more such line, after those of the file\n"
	"  --without FEATURE   do as on a kernel that lacks it (first column of --probe)\n"
	"  --probe             show what this kernel can do and what would be marked, and end\n"
	"keys: level (runtime, image), filesystem DIR [TEST-FILE], deadline_ms, watchdog_ms, askers, late_budget,\n"
	"  late_window_s, flush_s, allow PROGRAM [WORD…], starter, witness, mounter, oci, forget (targets, allow), tree,\n"
	"  socket, posture, state\n"
	"exit: 0 ended by a signal, 2 usage or configuration, 3 declined: this kernel or these rights are not enough\n";

struct choice {
	struct config config;
	struct features features;
	bool probe;
};

static int refuse(const char *what, const char *why)
{
	(void)fprintf(stderr, "sifgate-guard: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	return EXIT_USAGE;
}

/* Returns 0 or the exit status. The file is read first, whatever the order of the flags. */
static int read_flags(int argc, char **argv, struct choice *choice)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"set", required_argument, NULL, 's'},
		{"without", required_argument, NULL, 'w'}, {"probe", no_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
	};
	const char *path = CONFIG_PATH;
	const char *wrong;
	char problem[512];
	int flag;

	while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (flag == 'c')
			path = optarg;
		else if (flag == 'p')
			choice->probe = true;
		else if (flag == 'h' || flag == '?')
			return refuse(usage, "");
		else if (flag == 'w' && !features_without(&choice->features, optarg))
			return refuse(optarg, "no feature of --probe");
	}
	if (optind < argc)
		return refuse(argv[optind], "not expected");
	if (config_read(&choice->config, path, problem, sizeof(problem)) != 0)
		return refuse(problem, "");
	optind = 1;
	while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
		wrong = flag == 's' ? config_line(&choice->config, optarg) : NULL;
		if (wrong != NULL)
			return refuse("--set", wrong);
	}
	wrong = config_check(&choice->config);
	return wrong == NULL ? 0 : refuse("configuration", wrong);
}

int main(int argc, char **argv)
{
	static struct choice choice;
	const char *why;
	int status;

	config_defaults(&choice.config);
	features_probe(&choice.features);
	status = read_flags(argc, argv, &choice);
	if (status != 0)
		return status;
	why = features_decline(&choice.features, choice.config.level);
	if (choice.probe) {
		features_print(&choice.features, stdout);
		(void)printf("\nlevel %s\n", choice.config.level == LEVEL_IMAGE ? "image" : "runtime");
		if (scout_print(&choice.config, &choice.features, stdout) == 0)
			(void)puts("nothing to mark now");
	}
	if (why != NULL) {
		(void)refuse("declined", why);
		return EXIT_DECLINED;
	}
	return choice.probe ? 0 : watchdog_run(&choice.config, &choice.features);
}
