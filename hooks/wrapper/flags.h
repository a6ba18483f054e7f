/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a pull that fetches what a launch would have fetched. */
#ifndef SIFGATE_FLAGS_H
#define SIFGATE_FLAGS_H

#include "launch.h"

/* Returns the words of `pull` (the array is allocated, the words are not); NULL without memory. `word` is the image;
 * `target` may be filled in later. */
const char **flags_of_pull(const struct launch *launch, unsigned word, const char *target);

/* Returns whether the launch says `--NAME`. */
bool flags_say(const struct launch *launch, unsigned word, const char *name);

#endif
