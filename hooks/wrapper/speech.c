/* SPDX-License-Identifier: Apache-2.0 */
#include "speech.h"

#include "journal.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void tell(const struct launch *launch, const char *text, bool refused)
{
	if (!launch->speaks)
		return;
	if (launch->rank == 0)
		terminal_print(text, strlen(text));
	else if (refused)
		terminal_print_line(text);
}

void speech_tell(const struct launch *launch, const struct answer *answer)
{
	bool refused = answer->action == ACTION_BLOCK;

	if (answer->notice != NULL && (refused || !answer->quiet))
		tell(launch, answer->notice, refused);
}

void speech_tell_posture(const struct launch *launch, const struct posture *posture, const char *failure)
{
	enum action action = posture->agent_unreachable;
	char text[512];

	journal_write("door wrapper uid %u: action \"%s\" without an answer: %s%s%s", (unsigned)getuid(),
		      action_word(action), failure, posture->problem[0] != '\0' ? "; default posture: " : "",
		      posture->problem);
	if (action < ACTION_WARN)
		return;
	(void)snprintf(text, sizeof(text),
		       "sifgate: launch %s: nobody on this node could judge the image (cause \"agent_unreachable\")\n"
		       "  why    %s\n"
		       "  do     try again later%s%s",
		       action == ACTION_BLOCK ? "refused" : "not checked", failure,
		       posture->contact[0] != '\0' ? ", or ask " : "", posture->contact);
	tell(launch, text, action == ACTION_BLOCK);
}

void speech_tell_replaced(const struct launch *launch)
{
	tell(launch,
	     "sifgate: launch refused: the image was replaced after it was judged\n"
	     "  do     start it again: what lies there now is judged then",
	     true);
}

void speech_tell_progress(const struct launch *launch, struct wire_text text)
{
	if (launch->speaks && launch->rank == 0)
		terminal_print(text.bytes, text.length);
}
