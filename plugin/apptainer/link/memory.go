// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// From <linux/memfd.h> and <linux/fcntl.h>, which package syscall was frozen before.
const (
	memfdCloexec      = 1
	memfdAllowSealing = 2
	addSeals          = 1033
	allSeals          = 1 | 2 | 4 | 8 // seal, shrink, grow, write
)

// Numbers of the system call memfd_create, by architecture.
var memfdCreate = map[string]uintptr{
	"amd64": 319, "arm64": 279, "loong64": 279, "ppc64le": 360, "riscv64": 279, "s390x": 350,
}

// sealed returns a memfd that holds data and can never change again.
func sealed(data []byte) (*os.File, error) {
	number, known := memfdCreate[runtime.GOARCH]
	if !known {
		return nil, fmt.Errorf("%w: no memfd_create on %s", ErrTooLong, runtime.GOARCH)
	}
	name, err := syscall.BytePtrFromString("sifgate-ask")
	if err != nil {
		return nil, err
	}
	descriptor, _, failed := syscall.Syscall(
		number, uintptr(unsafe.Pointer(name)), memfdCloexec|memfdAllowSealing, 0)
	if failed != 0 {
		return nil, fmt.Errorf("memfd_create: %w", failed)
	}
	file := os.NewFile(descriptor, "sifgate-ask")
	if _, err := file.Write(data); err != nil {
		file.Close()
		return nil, err
	}
	if _, _, failed := syscall.Syscall(syscall.SYS_FCNTL, descriptor, addSeals, allSeals); failed != 0 {
		file.Close()
		return nil, fmt.Errorf("sealing a memfd: %w", failed)
	}
	return file, nil
}
