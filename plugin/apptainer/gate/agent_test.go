// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

// agent serves every connection by the same script: turns that it sends, each answered where the shim has to answer.
type agent struct {
	path    string
	turns   func(conversation int) []wire.Message
	mutex   sync.Mutex
	asked   []wire.Message
	opened  []wire.Message
	content []string
}

func turn(verb string, fields ...string) wire.Message {
	message := wire.Message{Verb: verb}
	for i := 0; i < len(fields); i += 2 {
		message.Add(fields[i], fields[i+1])
	}
	return message
}

// serve starts an agent; it hangs up after its last turn, unless that is `hang`.
func serve(t *testing.T, turns func(conversation int) []wire.Message) *agent {
	t.Helper()
	found := &agent{path: filepath.Join(t.TempDir(), "agent.sock"), turns: turns}
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: found.path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	all.Add(1)
	go func() {
		defer all.Done()
		for number := 0; ; number++ {
			connection, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			found.converse(t, connection, number)
			connection.Close()
		}
	}()
	return found
}

func (a *agent) converse(t *testing.T, connection *net.UnixConn, number int) {
	ask, _ := a.receive(t, connection)
	a.mutex.Lock()
	a.asked = append(a.asked, ask)
	a.mutex.Unlock()
	for _, message := range a.turns(number) {
		if message.Verb == "hang" {
			_, _ = connection.Read(make([]byte, 1)) // until the shim gives up
			return
		}
		data, err := wire.Encode(&message)
		if err != nil {
			t.Error(err)
		}
		_, _ = connection.Write(data)
		if message.Verb == "open" {
			answer, text := a.receive(t, connection)
			a.mutex.Lock()
			a.opened, a.content = append(a.opened, answer), append(a.content, text)
			a.mutex.Unlock()
		}
	}
}

// receive returns a message, and the first bytes of the file that came with it.
func (a *agent) receive(t *testing.T, connection *net.UnixConn) (wire.Message, string) {
	data, rights := make([]byte, wire.PacketLimit), make([]byte, 64)
	size, extra, _, _, err := connection.ReadMsgUnix(data, rights)
	if err != nil {
		return wire.Message{}, ""
	}
	text := ""
	parts, _ := syscall.ParseSocketControlMessage(rights[:extra])
	for i := range parts {
		descriptors, _ := syscall.ParseUnixRights(&parts[i])
		for _, descriptor := range descriptors {
			head := make([]byte, 7)
			got, _ := syscall.Pread(descriptor, head, 0)
			text = string(head[:max(got, 0)])
			_ = syscall.Close(descriptor)
		}
	}
	message, err := wire.Decode(data[:size])
	if err != nil {
		t.Error(err)
		return wire.Message{}, text
	}
	return *message, text
}

// seen returns what was asked and opened so far.
func (a *agent) seen() (asked, opened []wire.Message, content []string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.asked, a.opened, a.content
}
