// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// The vectors that the Python and the C tests read; the caller says where they lie when these tests run elsewhere.
const vectorsVariable = "SIFGATE_VECTORS"

type vectors struct {
	Good []struct {
		Name, Hex, Verb string
		Fields          [][2]string
	}
	Bad []struct{ Name, Hex, Why string }
}

func read(t *testing.T) vectors {
	t.Helper()
	path := os.Getenv(vectorsVariable)
	if path == "" {
		path = "../../../tests/vectors/wire.json"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found vectors
	if err := json.Unmarshal(data, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Good) < 20 || len(found.Bad) < 20 {
		t.Fatalf("only %d good and %d bad vectors", len(found.Good), len(found.Bad))
	}
	return found
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGoodVectorsMeanWhatTheySay(t *testing.T) {
	for _, vector := range read(t).Good {
		want := Message{Verb: vector.Verb}
		for _, field := range vector.Fields {
			want.Add(field[0], string(unhex(t, field[1])))
		}
		data := unhex(t, vector.Hex)
		got, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", vector.Name, err)
			continue
		}
		if got.Verb != want.Verb || len(got.Fields) != len(want.Fields) {
			t.Errorf("%s: %q with %d fields", vector.Name, got.Verb, len(got.Fields))
			continue
		}
		for i := range want.Fields {
			if got.Fields[i] != want.Fields[i] {
				t.Errorf("%s: field %d is %q", vector.Name, i, got.Fields[i])
			}
		}
		if again, err := Encode(got); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: encodes to %q (%v)", vector.Name, again, err)
		}
	}
}

func TestBadVectorsAreRefused(t *testing.T) {
	for _, vector := range read(t).Bad {
		if _, err := Decode(unhex(t, vector.Hex)); !errors.Is(err, ErrGrammar) {
			t.Errorf("%s: %v", vector.Name, err)
		}
	}
}

func TestEveryPrefixOfAMessageIsRefusedOrShorter(t *testing.T) {
	for _, vector := range read(t).Good {
		data := unhex(t, vector.Hex)
		for size := range data {
			if got, err := Decode(data[:size:size]); err == nil && len(got.Fields) >= len(vector.Fields) && size > 0 {
				t.Errorf("%s: %d bytes of %d pass", vector.Name, size, len(data))
			}
		}
	}
}

func TestWhatBreaksTheGrammarIsNotEncoded(t *testing.T) {
	for _, message := range []Message{
		{Verb: ""},
		{Verb: "Ask"},
		{Verb: "ask", Fields: []Field{{"", "x"}}},
		{Verb: "ask", Fields: []Field{{"1a", "x"}}},
		{Verb: "ask", Fields: []Field{{strings.Repeat("k", keyLimit+1), "x"}}},
		{Verb: "ask", Fields: []Field{{"arg", strings.Repeat("x", MessageLimit)}}},
	} {
		if data, err := Encode(&message); !errors.Is(err, ErrGrammar) {
			t.Errorf("%q: %d bytes", message.Verb, len(data))
		}
	}
}

func TestTheFirstOfEqualKeysIsFound(t *testing.T) {
	message := Message{Verb: "ask", Fields: []Field{{"arg", "a"}, {"arg", "b"}}}
	if message.First("arg") != "a" || message.First("env") != "" {
		t.Fatal(message)
	}
}
