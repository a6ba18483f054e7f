/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdio.h>

#define LONGEST 6	/* of one byte, escaped: \\u001b */

void json_escape(const char *text, char *json, size_t size)
{
	size_t length = 0;

	for (; *text != '\0' && length + LONGEST < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
			length += (size_t)snprintf(json + length, size - length, "\\u%04x", c);
		else
			json[length++] = *text;
	}
	json[length] = '\0';
}
