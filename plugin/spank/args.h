/* SPDX-License-Identifier: Apache-2.0 */
/* The words after the plugin's name in plugstack.conf: key=value, each optional, an unknown key is an error. */
#ifndef SIFGATE_ARGS_H
#define SIFGATE_ARGS_H

#include <limits.h>

struct args {
	char socket[PATH_MAX];
	char posture[PATH_MAX];
	char scancel[PATH_MAX];	/* ends the whole step when one node of several refuses */
	char timing[PATH_MAX];	/* file that gets one line of microseconds per step; empty: none */
	char problem[256];	/* what is wrong with the line; empty: nothing */
};

/* Fills `args` with the defaults and what `values` say; stops at the first `problem`. */
void args_parse(int count, char **values, struct args *args);

#endif
