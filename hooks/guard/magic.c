/* SPDX-License-Identifier: Apache-2.0 */
#include "magic.h"

#include <string.h>

#define SIF_AT 32u	/* after the line that lets a SIF be executed */

bool magic_is_image(const char *bytes, size_t length)
{
	static const char sif[] = "SIF_MAGIC";
	static const char squashfs[] = "hsqs";

	if (length >= SIF_AT + sizeof(sif) - 1 && memcmp(bytes + SIF_AT, sif, sizeof(sif) - 1) == 0)
		return true;
	return length >= sizeof(squashfs) - 1 && memcmp(bytes, squashfs, sizeof(squashfs) - 1) == 0;
}
