//go:build apptainer_engine

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	apptainer "github.com/apptainer/apptainer/pkg/runtime/engine/apptainer/config"
	"github.com/apptainer/apptainer/pkg/runtime/engine/config"
	"github.com/apptainer/apptainer/plugins/sifgate/gate"
	"github.com/apptainer/apptainer/plugins/sifgate/monitor"
	"github.com/apptainer/apptainer/plugins/sifgate/posture"
)

// barrier is shared by the two callbacks, which run in two goroutines of the starter.
var barrier = monitor.NewBarrier()

// registerImageDriver holds the creation of a container in the starter, before its first mount. The command line calls
// it too, to see whether an image must be unpacked: there it does nothing.
func registerImageDriver(bool) error {
	if !inCommand {
		barrier.Wait()
	}
	return nil
}

// monitorContainer decides, and waits for the container's end. A joined instance was judged when it started.
func monitorContainer(common *config.Common, pid int, signals chan os.Signal) (syscall.WaitStatus, error) {
	engine, known := common.EngineConfig.(*apptainer.EngineConfig)
	if !known {
		return 0, errors.Join(errors.New("sifgate: an engine that it does not know"), syscall.Kill(pid, syscall.SIGKILL))
	}
	decided := make(chan error, 1)
	if engine.GetInstanceJoin() {
		decided <- nil
	} else {
		go func() {
			<-barrier.Arrived() // the list of images is not safe to be read beside who creates the container
			decided <- decide(common, engine)
		}()
	}
	return monitor.Watch(pid, signals, engine.GetSignalPropagation(), barrier, decided)
}

// decide returns nil where the container may start.
func decide(common *config.Common, engine *apptainer.EngineConfig) error {
	images := engine.GetImageList()
	if len(images) == 0 {
		return errors.New("sifgate: no image was opened")
	}
	var told handover
	if err := common.GetPluginConfig(identity, &told); err != nil {
		told = handover{Origin: gate.Origin{Rank: -1}}
	}
	launch := launchOf(common, engine, images[0].Path, told)
	if program() != suidStarter && gate.IsUnpacker(images[0].Path, launch.Words[launch.Image+1:]) {
		return nil
	}
	rules := posture.Read(posture.Path)
	opened := func(path, _ string) (int, func(), error) {
		for _, image := range images {
			if image.Path == path {
				return readable(int(image.Fd))
			}
		}
		return -1, nil, syscall.ENOENT // nothing else is opened here: it may be a setuid program
	}
	answer := launch.Ask(conversation(rules, told.Origin, opened))
	outcome := settled(&answer, rules, told.Origin, told.Told)
	gate.Enter(outcome.Entry)
	gate.Say(outcome.Text)
	if !outcome.Refused {
		return nil
	}
	if outcome.Reference == "" {
		return errors.New("launch refused by sifgate")
	}
	return fmt.Errorf("launch refused by sifgate, reference %s", outcome.Reference)
}

// readable returns a descriptor of an open image that cannot be written through; the same file in any case.
func readable(descriptor int) (int, func(), error) {
	flags, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), syscall.F_GETFL, 0)
	if failed != 0 {
		return -1, nil, failed
	}
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		return descriptor, func() {}, nil
	}
	again, err := syscall.Open("/proc/self/fd/"+itoa(descriptor), openFlags, 0)
	return again, func() { _ = syscall.Close(again) }, err
}
