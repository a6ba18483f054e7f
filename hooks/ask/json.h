/* SPDX-License-Identifier: Apache-2.0 */
/* Text as a JSON string; nothing here reads JSON. */
#ifndef SIFGATE_ASK_JSON_H
#define SIFGATE_ASK_JSON_H

#include <stddef.h>

/* Writes `text` without quotes around it, escaped, ended with NUL; what does not fit is left out. Bytes above ASCII stay
 * as they are: the reader says what it makes of those that are no UTF-8. */
void json_escape(const char *text, char *json, size_t size);

#endif
