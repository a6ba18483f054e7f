/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIFGATE_GUARD_MAGIC_H
#define SIFGATE_GUARD_MAGIC_H

#include <stdbool.h>
#include <stddef.h>

#define MAGIC_BYTES 42u

/* Returns whether a file that begins with these bytes is a SIF or a squashfs. */
bool magic_is_image(const char *bytes, size_t length);

#endif
