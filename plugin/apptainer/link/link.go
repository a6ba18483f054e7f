// SPDX-License-Identifier: Apache-2.0

// Package link is one connection to the agent: packets out and in, each with a deadline. Descriptors go out, never in.
package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/apptainer/apptainer/plugins/sifgate/trust"
	"github.com/apptainer/apptainer/plugins/sifgate/wire"
)

// Silence is how long the agent may give no sign of life before it counts as unreachable.
const Silence = 2 * time.Second

const (
	retryAfter = 20 * time.Millisecond // a queue that is full: AF_UNIX does not let a non-blocking connect wait
	none       = -1
)

var memfdMessage = []byte("sifgate/1 memfd\n")

// ErrStranger says that neither root nor the user himself listens.
var ErrStranger = errors.New("who listens is neither root nor this user")

// ErrTooLong says that a message is longer than the protocol allows, so that it must be asked shorter.
var ErrTooLong = errors.New("message too long")

// Link is an open connection.
type Link struct {
	connection *net.UnixConn
}

// Open connects at once, or fails; it waits up to Silence where the agent's queue is full.
func Open(path string) (*Link, error) {
	end := time.Now().Add(Silence)
	address := &net.UnixAddr{Name: path, Net: "unixpacket"}
	connection, err := net.DialUnix("unixpacket", nil, address)
	for errors.Is(err, syscall.EAGAIN) && time.Now().Before(end) {
		time.Sleep(retryAfter)
		connection, err = net.DialUnix("unixpacket", nil, address)
	}
	if err != nil {
		return nil, err
	}
	if err := checkPeer(connection, path); err != nil {
		connection.Close()
		return nil, err
	}
	return &Link{connection}, nil
}

// Close ends the conversation.
func (l *Link) Close() {
	l.connection.Close()
}

// Send sends a message, as a packet or as a sealed memfd; a descriptor (-1: none) only goes with a packet.
func (l *Link) Send(message *wire.Message, descriptor int) error {
	data, err := wire.Encode(message)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTooLong, err)
	}
	if len(data) <= wire.PacketLimit {
		return l.packet(data, descriptor)
	}
	memory, err := sealed(data)
	if err != nil {
		return err
	}
	defer memory.Close()
	return l.packet(memfdMessage, int(memory.Fd()))
}

func (l *Link) packet(data []byte, descriptor int) error {
	var rights []byte
	if descriptor != none {
		rights = syscall.UnixRights(descriptor)
	}
	if err := l.connection.SetWriteDeadline(time.Now().Add(Silence)); err != nil {
		return err
	}
	_, _, err := l.connection.WriteMsgUnix(data, rights, nil)
	return err
}

// Receive waits until a moment for a message; io.EOF where the agent hung up, os.ErrDeadlineExceeded past the moment.
// Descriptors that came with it are dropped by the kernel: there is no room for any.
func (l *Link) Receive(until time.Time) (*wire.Message, error) {
	if err := l.connection.SetReadDeadline(until); err != nil {
		return nil, err
	}
	packet := make([]byte, wire.PacketLimit)
	size, _, flags, _, err := l.connection.ReadMsgUnix(packet, nil)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, io.EOF
	}
	if flags&syscall.MSG_TRUNC != 0 {
		return nil, fmt.Errorf("%w: longer than a packet", wire.ErrGrammar)
	}
	return wire.Decode(packet[:size])
}

// checkPeer refuses a listener that could be anybody's: it gets descriptors of the user's files, and decides.
func checkPeer(connection *net.UnixConn, path string) error {
	raw, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var failure error
	err = raw.Control(func(descriptor uintptr) {
		peer, failure = syscall.GetsockoptUcred(int(descriptor), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, failure); err != nil {
		return err
	}
	if trust.IsKnown(peer.Uid) || (trust.MayBeRoot(peer.Uid) && trust.Parents(path) == nil) {
		return nil
	}
	return ErrStranger
}
