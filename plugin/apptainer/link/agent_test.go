// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

// listen starts an agent that serves one connection.
func listen(t *testing.T, serve func(*net.UnixConn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	t.Cleanup(func() {
		listener.Close()
		<-over
	})
	go func() {
		defer close(over)
		connection, err := listener.AcceptUnix()
		if err != nil {
			return
		}
		defer connection.Close()
		serve(connection)
	}()
	return path
}

// receive returns one packet and the descriptors that came with it.
func receive(connection *net.UnixConn) ([]byte, []int) {
	data, rights := make([]byte, wire.PacketLimit), make([]byte, 256)
	size, extra, _, _, err := connection.ReadMsgUnix(data, rights)
	if err != nil {
		return nil, nil
	}
	parts, _ := syscall.ParseSocketControlMessage(rights[:extra])
	var descriptors []int
	for i := range parts {
		found, _ := syscall.ParseUnixRights(&parts[i])
		descriptors = append(descriptors, found...)
	}
	return data[:size], descriptors
}

func open(t *testing.T, path string) *Link {
	t.Helper()
	connection, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}

func TestADescriptorGoesWithAPacket(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "image")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, _ = file.WriteString("content")
	seen := make(chan string, 1)
	path := listen(t, func(connection *net.UnixConn) {
		_, descriptors := receive(connection)
		if len(descriptors) != 1 {
			seen <- "no descriptor"
			return
		}
		text := make([]byte, 7)
		_, _ = syscall.Pread(descriptors[0], text, 0)
		_ = syscall.Close(descriptors[0])
		seen <- string(text)
	})
	if err := open(t, path).Send(&wire.Message{Verb: "opened"}, int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "content" {
		t.Fatal(got)
	}
}

func TestALongMessageTravelsAsASealedMemory(t *testing.T) {
	long := &wire.Message{Verb: "ask"}
	long.Add("arg", strings.Repeat("x", 1<<20))
	seen := make(chan string, 1)
	path := listen(t, func(connection *net.UnixConn) {
		data, descriptors := receive(connection)
		if string(data) != string(memfdMessage) || len(descriptors) != 1 {
			seen <- "no memfd"
			return
		}
		file := os.NewFile(uintptr(descriptors[0]), "memfd")
		defer file.Close()
		if _, err := file.WriteAt([]byte("y"), 0); !errors.Is(err, syscall.EPERM) {
			seen <- "not sealed"
			return
		}
		whole, _ := io.ReadAll(io.NewSectionReader(file, 0, wire.MessageLimit))
		message, err := wire.Decode(whole)
		if err != nil {
			seen <- err.Error()
			return
		}
		seen <- message.First("arg")
	})
	if err := open(t, path).Send(long, -1); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; len(got) != 1<<20 {
		t.Fatalf("%.40q", got)
	}
}

func TestNobodyThereIsKnownAtOnce(t *testing.T) {
	began := time.Now()
	if _, err := Open(filepath.Join(t.TempDir(), "none.sock")); !errors.Is(err, syscall.ENOENT) {
		t.Fatal(err)
	}
	if took := time.Since(began); took > Silence/2 {
		t.Fatal(took)
	}
}

func TestSilenceEndsTheWait(t *testing.T) {
	release := make(chan struct{})
	path := listen(t, func(*net.UnixConn) { <-release })
	defer close(release)
	if _, err := open(t, path).Receive(time.Now().Add(50 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestTheEndOfTheConversationIsSeen(t *testing.T) {
	path := listen(t, func(*net.UnixConn) {})
	if _, err := open(t, path).Receive(time.Now().Add(Silence)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestGarbageIsAnErrorOfTheGrammar(t *testing.T) {
	path := listen(t, func(connection *net.UnixConn) { _, _ = connection.Write([]byte("GET / HTTP/1.1\r\n\r\n")) })
	if _, err := open(t, path).Receive(time.Now().Add(Silence)); !errors.Is(err, wire.ErrGrammar) {
		t.Fatal(err)
	}
}
