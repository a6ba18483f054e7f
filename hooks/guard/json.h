/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One string out of a JSON text, by the same rules as Go's encoding/json, whose reader it has to agree with: keys match
 * in any case, and of several the last one counts.
 */
#ifndef SIFGATE_GUARD_JSON_H
#define SIFGATE_GUARD_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the string at `keys` (ended with NULL) into `text`. Returns false where the text is no JSON, or there is none,
 * or it does not fit or holds NUL. */
bool json_string(const char *json, size_t length, const char *const *keys, char *text, size_t size);

#endif
