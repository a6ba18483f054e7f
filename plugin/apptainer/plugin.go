//go:build apptainer_engine

// SPDX-License-Identifier: Apache-2.0

// Sifgate's plugin for Apptainer: every start of a container is put before this node's agent. See
// docs/doors/apptainer-plugin.md.
//
//	CLI      Command          asks early, with the flags as typed: the friendly refusal
//	         EngineConfig     hands over what the starter cannot know; decides nothing
//	starter  MonitorContainer asks about the image that was opened: what binds
//	         RegisterImageDriver holds the creation of the container until then
//
// This directory is compiled inside Apptainer's source tree, where the build tag is always set. Elsewhere only the
// packages below it are, which need nothing but the standard library.
package main

import (
	"os"
	"path/filepath"

	pluginapi "github.com/apptainer/apptainer/pkg/plugin"
	"github.com/apptainer/apptainer/pkg/plugin/callback/cli"
	runtime "github.com/apptainer/apptainer/pkg/plugin/callback/runtime/engine/apptainer"
	"github.com/apptainer/apptainer/plugins/sifgate/gate"
	"github.com/apptainer/apptainer/plugins/sifgate/posture"
)

const (
	agentSocket = "/run/sifgate/agent.sock"
	suidStarter = "starter-suid"
)

var manifest = pluginapi.Manifest{
	Name:        "sifgate",
	Author:      "the sifgate project",
	Version:     version,
	Description: "Refuses or warns about images with known vulnerabilities, as this site's policy says",
}

// Plugin is what Apptainer looks for.
var Plugin = pluginapi.Plugin{
	Manifest: manifest,
	Callbacks: []pluginapi.Callback{
		(cli.Command)(onCommand),
		(cli.ApptainerEngineConfig)(onEngineConfig),
		(runtime.MonitorContainer)(monitorContainer),
		(runtime.RegisterImageDriver)(registerImageDriver),
	},
}

// handover is what the command line tells the starter, whose environment is empty. Its user can forge it: it changes
// what is displayed, never what is decided.
type handover struct {
	Origin gate.Origin `json:"origin"`
	Typed  string      `json:"typed"` // the image as the user named it
	Told   string      `json:"told"`  // reference of the warning that was shown already
}

// settled returns what an answer, or the lack of one, comes to.
func settled(answer *gate.Answer, rules posture.Posture, origin gate.Origin, told string) gate.Outcome {
	if answer.Decided {
		return answer.Outcome(origin, told)
	}
	return gate.Without(rules, answer.Failure, origin)
}

// conversation returns how the agent is asked.
func conversation(rules posture.Posture, origin gate.Origin, open gate.Opener) *gate.Conversation {
	found := &gate.Conversation{Socket: agentSocket, Deadline: rules.ScanWait, Open: open}
	if origin.Rank <= 0 {
		found.Progress = gate.Say
	}
	return found
}

// program returns the name of the program that runs: apptainer, starter or starter-suid.
func program() string {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return ""
	}
	return filepath.Base(path)
}
