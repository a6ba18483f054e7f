// SPDX-License-Identifier: Apache-2.0

// Package wire encodes and decodes messages of sifgate/1 (docs/protocol.md, section 1).
//
// It is strict in both directions, reads nothing past the end of what it was given, and copies what it returns.
package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Limits of the protocol.
const (
	PacketLimit  = 65536
	MessageLimit = 4 << 20
	FieldsLimit  = 262144

	verbLimit    = 16
	keyLimit     = 32
	lengthDigits = 7 // of MessageLimit
)

const magic = "sifgate/1 "

// ErrGrammar is wrapped by every error of Decode and Encode.
var ErrGrammar = errors.New("not a message of sifgate/1")

// Field is one key with its value, which may hold any byte.
type Field struct {
	Key   string
	Value string
}

// Message is a verb with its fields in their order.
type Message struct {
	Verb   string
	Fields []Field
}

// Add appends a field.
func (m *Message) Add(key, value string) {
	m.Fields = append(m.Fields, Field{key, value})
}

// First returns the value of the first field with this key, "" where there is none.
func (m *Message) First(key string) string {
	for _, field := range m.Fields {
		if field.Key == key {
			return field.Value
		}
	}
	return ""
}

// Encode returns the bytes of a message, or an error where it breaks the grammar or a limit.
func Encode(message *Message) ([]byte, error) {
	if !isVerb(message.Verb) {
		return nil, fmt.Errorf("%w: verb %q", ErrGrammar, message.Verb)
	}
	if len(message.Fields) > FieldsLimit {
		return nil, fmt.Errorf("%w: %d fields", ErrGrammar, len(message.Fields))
	}
	var out bytes.Buffer
	out.WriteString(magic + message.Verb + "\n")
	for _, field := range message.Fields {
		if !isKey(field.Key) {
			return nil, fmt.Errorf("%w: key %q", ErrGrammar, field.Key)
		}
		out.WriteString(field.Key)
		out.WriteByte(':')
		out.WriteString(strconv.Itoa(len(field.Value)))
		out.WriteByte('=')
		out.WriteString(field.Value)
		out.WriteByte('\n')
		if out.Len() > MessageLimit {
			return nil, fmt.Errorf("%w: longer than %d bytes", ErrGrammar, MessageLimit)
		}
	}
	return out.Bytes(), nil
}

// Decode returns the message that data holds, whole and nothing else.
func Decode(data []byte) (*Message, error) {
	if len(data) > MessageLimit || !bytes.HasPrefix(data, []byte(magic)) {
		return nil, fmt.Errorf("%w: version", ErrGrammar)
	}
	rest := data[len(magic):]
	end := bytes.IndexByte(rest[:min(len(rest), verbLimit+1)], '\n')
	if end < 0 || !isVerb(string(rest[:end])) {
		return nil, fmt.Errorf("%w: verb", ErrGrammar)
	}
	message := &Message{Verb: string(rest[:end])}
	rest = rest[end+1:]
	for len(rest) > 0 {
		field, size, err := decodeField(rest)
		if err != nil {
			return nil, err
		}
		if len(message.Fields) == FieldsLimit {
			return nil, fmt.Errorf("%w: too many fields", ErrGrammar)
		}
		message.Fields = append(message.Fields, field)
		rest = rest[size:]
	}
	return message, nil
}

// decodeField returns the field that data begins with, and how many bytes it takes.
func decodeField(data []byte) (Field, int, error) {
	colon := bytes.IndexByte(data[:min(len(data), keyLimit+1)], ':')
	if colon < 0 || !isKey(string(data[:colon])) {
		return Field{}, 0, fmt.Errorf("%w: key", ErrGrammar)
	}
	length, digits := 0, 0
	for _, digit := range data[colon+1:] {
		if digit < '0' || digit > '9' {
			break
		}
		if digits++; digits > lengthDigits {
			return Field{}, 0, fmt.Errorf("%w: length", ErrGrammar)
		}
		length = length*10 + int(digit-'0')
	}
	equals := colon + 1 + digits
	if digits == 0 || equals >= len(data) || data[equals] != '=' || (data[colon+1] == '0' && digits > 1) {
		return Field{}, 0, fmt.Errorf("%w: length", ErrGrammar)
	}
	value := data[equals+1:]
	if length >= len(value) || value[length] != '\n' {
		return Field{}, 0, fmt.Errorf("%w: end", ErrGrammar)
	}
	return Field{string(data[:colon]), string(value[:length])}, equals + 1 + length + 1, nil
}

func isVerb(verb string) bool {
	for i := 0; i < len(verb); i++ {
		if !isLetter(verb[i]) {
			return false
		}
	}
	return len(verb) > 0 && len(verb) <= verbLimit
}

func isKey(key string) bool {
	for i := 0; i < len(key); i++ {
		digit := key[i] == '_' || (key[i] >= '0' && key[i] <= '9')
		if !isLetter(key[i]) && (i == 0 || !digit) {
			return false
		}
	}
	return len(key) > 0 && len(key) <= keyLimit
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z'
}
