/* SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define WORDS_LIMIT 6144u	/* travels in the job record and in the prolog's environment */
#define CODED(size) (((size) + 2) / 3 * 4 + 1)

static void encode(const char *bytes, size_t length, char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		unsigned b0 = (unsigned char)bytes[i];
		unsigned b1 = i + 1 < length ? (unsigned char)bytes[i + 1] : 0;
		unsigned b2 = i + 2 < length ? (unsigned char)bytes[i + 2] : 0;

		*text++ = digits[b0 >> 2];
		*text++ = digits[(b0 & 3) << 4 | b1 >> 4];
		*text++ = i + 1 < length ? digits[(b1 & 15) << 2 | b2 >> 6] : '=';
		*text++ = i + 2 < length ? digits[b2 & 63] : '=';
	}
	*text = '\0';
}

/* Returns the bytes of this process's command line, at most `size`, whole words only unless the first is too long. */
static size_t read_words(char *words, size_t size, int *truncated)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 1;

	while (fd >= 0 && got != 0 && length < size) {
		got = read(fd, words + length, size - length);
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			length += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	*truncated = length == size;
	while (*truncated && length > 0 && words[length - 1] != '\0')
		length--;
	return length;
}

void handover(spank_t spank)
{
	char words[WORDS_LIMIT];
	char cwd[PATH_MAX];
	char text[CODED(WORDS_LIMIT > PATH_MAX ? WORDS_LIMIT : PATH_MAX)];
	int truncated = 0;
	size_t length = read_words(words, sizeof(words), &truncated);

	if (length == 0)
		return;
	encode(words, length, text);
	(void)spank_job_control_setenv(spank, "SIFGATE_ARGV", text, 1);
	if (truncated)
		(void)spank_job_control_setenv(spank, "SIFGATE_TRUNCATED", "1", 1);
	if (getcwd(cwd, sizeof(cwd)) != NULL) {
		encode(cwd, strlen(cwd), text);
		(void)spank_job_control_setenv(spank, "SIFGATE_CWD", text, 1);
	}
}
