//go:build apptainer_engine

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/apptainer/apptainer/pkg/cmdline"
	"github.com/apptainer/apptainer/pkg/runtime/engine/config"
	"github.com/apptainer/apptainer/pkg/sylog"
	"github.com/apptainer/apptainer/plugins/sifgate/gate"
	"github.com/apptainer/apptainer/plugins/sifgate/posture"
	"github.com/spf13/cobra"
)

const (
	refused   = 255 // as every FATAL of the runtime itself
	joins     = "instance://"
	openFlags = syscall.O_RDONLY | syscall.O_CLOEXEC | syscall.O_NONBLOCK | syscall.O_NOCTTY
)

// Commands that start a container of an image; the path of a command, joined by "_".
var launching = []string{"exec", "run", "shell", "test", "instance_start", "instance_run"}

var (
	inCommand bool     // this process is the command line
	handed    handover // to the starter
)

func onCommand(manager *cmdline.CommandManager) {
	inCommand = true
	for _, name := range launching {
		command := manager.GetCmd(name)
		if command == nil {
			sylog.Verbosef("sifgate: no command %s in this version", name)
			continue
		}
		original := command.PreRun
		command.PreRun = func(command *cobra.Command, words []string) {
			typed := ""
			if len(words) > 0 {
				typed = words[0]
			}
			if original != nil {
				original(command, words) // pulls docker:// and the like: words[0] is a local file afterwards
			}
			if typed != "" && !strings.HasPrefix(typed, joins) {
				askEarly(typed, words)
			}
		}
	}
}

// askEarly puts the launch before the agent while nothing has been prepared, and ends the program where it is refused.
// Where nobody answers it says nothing: the starter asks again, and takes the posture.
func askEarly(typed string, words []string) {
	origin := gate.OriginOf(os.Getenv)
	handed = handover{Origin: origin, Typed: typed}
	if isInner() {
		return
	}
	rules := posture.Read(posture.Path)
	launch := gate.Launch{Origin: origin, Environment: os.Environ(), Words: append([]string(nil), os.Args...)}
	launch.Image = len(os.Args) - len(words)
	if launch.Image < 1 {
		return
	}
	launch.Words[launch.Image] = words[0]
	if typed != words[0] {
		launch.Name = typed
	}
	launch.Directory, _ = os.Getwd()
	answer := launch.Ask(conversation(rules, origin, openNamed))
	if !answer.Decided {
		sylog.Debugf("sifgate: not judged on the command line: %s", answer.Failure)
		return
	}
	outcome := answer.Outcome(origin, "")
	gate.Say(outcome.Text)
	if outcome.Refused {
		os.Exit(refused)
	}
	handed.Told = outcome.Reference
}

// openNamed opens what the user named, with his ids, as the runtime would.
func openNamed(path, directory string) (int, func(), error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(directory, path)
	}
	descriptor, err := syscall.Open(path, openFlags, 0)
	return descriptor, func() { _ = syscall.Close(descriptor) }, err
}

// isInner returns whether the runtime itself started this command, as a helper or anew in a namespace: the launch was
// asked about, and what really starts is asked about by its starter.
func isInner() bool {
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return false
	}
	parent, err := os.Stat(filepath.Join("/proc", itoa(os.Getppid()), "exe"))
	return err == nil && os.SameFile(own, parent)
}

func onEngineConfig(common *config.Common) {
	if err := common.SetPluginConfig(identity, handed); err != nil {
		sylog.Debugf("sifgate: nothing is handed to the starter: %v", err)
	}
}
