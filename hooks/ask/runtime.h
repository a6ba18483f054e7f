/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI runtime that runs this hook: its standard error, and the log that podman reads. */
#ifndef SIFGATE_ASK_RUNTIME_H
#define SIFGATE_ASK_RUNTIME_H

#include <stdbool.h>

/* Returns a descriptor that writes where the runtime's own standard error goes, never blocking, or -1 where that is not
 * to be had or is the same as ours. */
int runtime_open_stderr(void);

/* Returns whether the runtime was told to write its errors to a log: an engine started it, no user. */
bool runtime_has_engine(void);

/* Appends an error to the log, as one line of JSON; does nothing where there is none, or where it could be a file that
 * the runtime did not make. */
void runtime_log(const char *text);

#endif
