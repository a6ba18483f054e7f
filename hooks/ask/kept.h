/* SPDX-License-Identifier: Apache-2.0 */
/* A warning between a container's creation, where an engine lets nobody read it, and its start; a file in its bundle. */
#ifndef SIFGATE_ASK_KEPT_H
#define SIFGATE_ASK_KEPT_H

#include <stdbool.h>

#define KEPT_LIMIT 4096

/* Keeps `text` in the working directory, which is the bundle; false where that cannot be. */
bool kept_write(const char *text);

/* Takes what was kept out of the bundle into `text` of KEPT_LIMIT bytes; false where there is nothing. */
bool kept_take(char *text);

#endif
