/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel can do of what the guard uses, found out by trying it in a mount namespace of its own. */
#ifndef SIFGATE_GUARD_ABILITIES_H
#define SIFGATE_GUARD_ABILITIES_H

#include "config.h"

#include <stdbool.h>
#include <stdio.h>

enum feature {
	FEATURE_PERMISSION,	/* permission events at all, and the right to have them */
	FEATURE_EXEC,
	FEATURE_PIDFD,
	FEATURE_FILESYSTEM,
	FEATURE_IGNORED,
	FEATURE_EVICTABLE,
	FEATURE_SIGNAL,
	FEATURE_WITHIN,
	FEATURE_COUNT,
};

struct features {
	bool has[FEATURE_COUNT];
	char problem[128];	/* why not even the attempt was possible */
};

/* Fills in what works here. */
void features_probe(struct features *features);

/* Takes a feature away, as on an older kernel; returns false for a word that names none. */
bool features_without(struct features *features, const char *word);

/* Returns NULL where the level can be had, else why not. */
const char *features_decline(const struct features *features, enum level level);

/* Prints the table: feature, since when, whether it is here, what is done without it, what is open then. */
void features_print(const struct features *features, FILE *out);

#endif
