//go:build apptainer_engine

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path"
	"strconv"
	"strings"

	pluginapi "github.com/apptainer/apptainer/pkg/plugin"
	apptainer "github.com/apptainer/apptainer/pkg/runtime/engine/apptainer/config"
	"github.com/apptainer/apptainer/pkg/runtime/engine/config"
	"github.com/apptainer/apptainer/plugins/sifgate/gate"
)

const actions = "/.singularity.d/actions/"

// identity names this plugin's part of the configuration; Plugin itself would refer to itself.
var identity = pluginapi.Plugin{Manifest: manifest}

// launchOf writes down what will really run, as a command line: the words of the user are not known here, and could not
// be believed.
func launchOf(common *config.Common, engine *apptainer.EngineConfig, image string, told handover) gate.Launch {
	payload := []string(nil)
	if engine.OciConfig != nil && engine.OciConfig.Process != nil {
		payload = engine.OciConfig.Process.Args
	}
	words := []string{"apptainer"}
	verb, rest := verbOf(payload)
	if engine.GetInstance() {
		words = append(words, "instance")
		rest = append([]string{common.ContainerID}, rest...)
		if verb != "run" {
			verb = "start"
		}
	}
	words = append(append(words, verb), flagsOf(engine)...)
	launch := gate.Launch{
		Words:       append(append(words, image), rest...),
		Image:       len(words),
		Environment: loaderOf(engine),
		Directory:   engine.GetCwd(),
		Origin:      told.Origin,
	}
	if typed := told.Typed; typed != "" && path.Base(typed) != path.Base(image) {
		launch.Name = typed
	}
	return launch
}

// verbOf returns the command that a payload was made by, and its words.
func verbOf(payload []string) (string, []string) {
	if len(payload) == 0 {
		return "run", nil
	}
	if verb, found := strings.CutPrefix(payload[0], actions); found {
		switch verb {
		case "exec", "run", "shell", "start", "test":
			return verb, payload[1:]
		}
	}
	return "exec", payload
}

// flagsOf returns the flags that put other content into the container than the image's.
func flagsOf(engine *apptainer.EngineConfig) []string {
	var flags []string
	for _, overlay := range engine.GetOverlayImage() {
		flags = append(flags, "--overlay", overlay)
	}
	for _, bind := range engine.GetBindPath() {
		flags = append(flags, "--bind", escaped(bind.Source)+":"+escaped(bind.Destination))
	}
	for _, mount := range engine.GetFuseMount() {
		flags = append(flags, "--fusemount", "container:"+strings.Join(mount.Program, " ")+" "+mount.MountPoint)
	}
	if engine.GetCustomHome() {
		flags = append(flags, "--home", escaped(engine.GetHomeSource())+":"+escaped(engine.GetHomeDest()))
	}
	return flags
}

// loaderOf returns the variables that make the loader of the container's programs load something else.
func loaderOf(engine *apptainer.EngineConfig) []string {
	var found []string
	for _, name := range []string{"LD_AUDIT", "LD_PRELOAD"} {
		if value := engine.GetApptainerEnv()[name]; value != "" {
			found = append(found, "APPTAINERENV_"+name+"="+value)
		}
	}
	return found
}

func escaped(path string) string {
	return strings.NewReplacer(`:`, `\:`, `,`, `\,`).Replace(path)
}

func itoa(number int) string {
	return strconv.Itoa(number)
}
