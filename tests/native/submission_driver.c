/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for sbatch, srun or salloc (by argv[0]): asks at submission through the socket in SOCKET, then copies what is
 * left of standard input to standard output. READ_FIRST=1: the input is read in between, as sbatch does. */
#include "foresight.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void copy_input(void)
{
	char bytes[4096];
	ssize_t got;

	while ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
		(void)fwrite(bytes, 1, (size_t)got, stdout);
}

int main(void)
{
	const char *socket = getenv("SOCKET");

	foresight_prepare(socket);
	if (getenv("READ_FIRST") != NULL)
		copy_input();
	foresight_tell(socket, "because");
	foresight_tell(socket, "twice is once");
	copy_input();
	return 0;
}
