// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/posture"
	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

func every(message *wire.Message, key string) []string {
	var found []string
	for _, field := range message.Fields {
		if field.Key == key {
			found = append(found, field.Value)
		}
	}
	return found
}

func TestTheQuestionHoldsWhatTheProtocolNames(t *testing.T) {
	launch := Launch{
		Words: []string{"apptainer", "exec", "/x.sif", "echo", "a\nb", "\xff"}, Image: 2,
		Environment: []string{"HOME=/home/a", "APPTAINER_BIND=/d", "APPTAINER_DOCKER_PASSWORD=s", "PATH=/bin", "HOMER=1"},
		Directory:   "/work", Name: "docker://x", Origin: Origin{3, "42"},
	}
	ask := launch.Question(6 * time.Second)
	for key, want := range map[string]string{
		"door": "apptainer-plugin", "deadline_ms": "6000", "cwd": "/work", "name": "docker://x", "rank": "3", "job": "42",
		"arg": strings.Join(launch.Words, "|"), "env": "HOME=/home/a|APPTAINER_BIND=/d", "can": "",
	} {
		if got := strings.Join(every(ask, key), "|"); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
}

func TestAPayloadOfMegabytesIsCutBehindTheImage(t *testing.T) {
	words := append([]string{"apptainer", "exec", "/x.sif"}, strings.Repeat("x", 1000), strings.Repeat("y", 1<<20))
	launch := Launch{Words: words, Image: 2, Origin: Origin{Rank: -1}}
	if got := every(launch.Question(time.Second), "arg"); len(got) != 4 || len(got[3]) != 1000 {
		t.Fatal(len(got))
	}
}

func TestWordsThatNoMessageHoldsAreAskedShort(t *testing.T) {
	there := serve(t, script(turn("decision", "action", Allow)))
	words := append([]string{"apptainer", "exec", "--bind", strings.Repeat("x", 5<<20)}, "/x.sif")
	launch := Launch{Words: words, Image: 4, Origin: Origin{Rank: -1}}
	if got := launch.Ask(talk(there.path, none)); !got.Decided {
		t.Fatalf("%+v", got)
	}
	if asked, _, _ := there.seen(); asked[0].First("truncated") != "1" || asked[0].First("arg") != "" {
		t.Fatal(asked[0])
	}
}

func TestTheHighestRankCounts(t *testing.T) {
	for text, want := range map[string]Origin{
		"":                                       {-1, ""},
		"SLURM_PROCID=0 SLURM_JOB_ID=7":          {0, "7"},
		"SLURM_PROCID=0 OMPI_COMM_WORLD_RANK=5":  {5, ""},
		"PMIX_RANK=1x SLURM_PROCID=-1":           {-1, ""},
		"SLURM_PROCID=99999999999 SLURM_JOB_ID=": {-1, ""},
	} {
		variables := map[string]string{}
		for _, word := range strings.Fields(text) {
			name, value, _ := strings.Cut(word, "=")
			variables[name] = value
		}
		if got := OriginOf(func(name string) string { return variables[name] }); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestWhoReadsWhat(t *testing.T) {
	block := Answer{Decided: true, Action: Block, Notice: "sifgate: launch refused: why\n  more", Reference: "R"}
	warn := Answer{Decided: true, Action: Warn, Notice: "sifgate: warning\n  more", Reference: "R"}
	quiet := warn
	quiet.Quiet = true
	for name, test := range map[string]struct {
		answer Answer
		rank   int
		told   string
		text   string
	}{
		"refusal, no rank":        {block, -1, "", block.Notice},
		"refusal, told before":    {block, 0, "R", block.Notice},
		"refusal, other rank":     {block, 3, "", "sifgate: " + host() + ": launch refused: why"},
		"warning":                 {warn, 0, "", warn.Notice},
		"warning, told before":    {warn, 0, "R", ""},
		"warning, another told":   {warn, 0, "S", warn.Notice},
		"warning, other rank":     {warn, 1, "", ""},
		"warning, in this job":    {quiet, 0, "", ""},
		"nothing, without notice": {Answer{Decided: true, Action: Allow}, 0, "", ""},
	} {
		got := test.answer.Outcome(Origin{Rank: test.rank}, test.told)
		if got.Text != test.text || got.Refused != (test.answer.Action == Block) || got.Entry != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestThePostureDecidesWithoutAnAgent(t *testing.T) {
	for action, want := range map[string]string{
		Allow: "", Log: "", Warn: "sifgate: launch not checked", Block: "sifgate: launch refused",
	} {
		rules := posture.Posture{AgentUnreachable: action, Contact: "security@site.example", Problem: "odd"}
		got := Without(rules, "agent gave no sign of life", Origin{Rank: -1})
		if got.Refused != (action == Block) || !strings.HasPrefix(got.Text, want) || (want == "") != (got.Text == "") {
			t.Errorf("%s: %+v", action, got)
		}
		if !strings.Contains(got.Entry, "no sign of life; default posture: odd") {
			t.Errorf("%s: %s", action, got.Entry)
		}
		if want != "" && !strings.Contains(got.Text, "security@site.example") {
			t.Errorf("%s: %s", action, got.Text)
		}
	}
}

func TestControlCharactersReachNoTerminal(t *testing.T) {
	if got := plain("a\x1b[2J\tb\nc\x7f\r", "\n\t"); got != "a?[2J\tb\nc??" {
		t.Fatalf("%q", got)
	}
}
