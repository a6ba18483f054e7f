/* SPDX-License-Identifier: Apache-2.0 */
/* What of a launch's variables and words concerns the gate; the same lists at every door. */
#ifndef SIFGATE_ENVIRONMENT_H
#define SIFGATE_ENVIRONMENT_H

#include <stdbool.h>

/* Returns whether a parser of the agent reads `NAME=VALUE` (sifgate.origin.environment); never what holds a secret. */
bool environment_is_read(const char *variable);

/* Returns whether a word looks like one that starts a container, for the posture where no agent can tell. */
bool environment_names_runtime(const char *word);

#endif
