/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: sifgate-ask [--socket PATH] [--posture PATH] MODE [options] [-- WORDS]. */
#ifndef SIFGATE_ASK_OPTIONS_H
#define SIFGATE_ASK_OPTIONS_H

#include <stdbool.h>

#define SOCKET_PATH "/run/sifgate/agent.sock"

/* What was given; NULL where it was not. Each option counts once: paths of users stand among the words of some callers,
 * so that a second one is an attempt to be judged by something else. */
struct options {
	const char *socket;
	const char *posture;
	const char *mode;
	const char *deadline;	/* milliseconds */
	const char *cwd;
	const char *uid;
	const char *gid;
	const char *job;
	const char *step;
	const char *rank;
	const char *script;
	const char *rootfs;
	const char *bundle;
	char **words;		/* after `--`; ends with NULL, may be empty */
	const char *problem;	/* what is wrong with the command line; NULL: nothing */
};

void options_parse(char **argv, struct options *options);

/* Returns true and the number that `text` is in decimal, nothing around it; false for anything else, NULL too. */
bool options_number(const char *text, unsigned long limit, unsigned *number);

#endif
