// SPDX-License-Identifier: Apache-2.0

package posture

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "posture")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAGoodFileIsObeyed(t *testing.T) {
	path := write(t, "sifgate-posture 1\nagent_unreachable block\nscan_wait_ms 6000\n"+
		"contact security@site.example\nprolog_refuse yes\n", 0o644)
	got := Read(path)
	want := Posture{"block", 6 * time.Second, "security@site.example", ""}
	if got != want {
		t.Fatalf("%+v", got)
	}
}

func TestNobodyWaitsLongerThanSlurmBears(t *testing.T) {
	if got := Read(write(t, "sifgate-posture 1\nscan_wait_ms 4000000000\n", 0o644)); got.ScanWait != waitMost {
		t.Fatal(got.ScanWait)
	}
}

func TestWhatCannotBeBelievedMeansAllow(t *testing.T) {
	const block = "sifgate-posture 1\nagent_unreachable block\n"
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "none"), link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"missing":           filepath.Join(t.TempDir(), "none"),
		"dangling link":     link,
		"directory":         t.TempDir(),
		"writable by all":   write(t, block, 0o666),
		"writable by group": write(t, block, 0o664),
		"other version":     write(t, "sifgate-posture 2\nagent_unreachable block\n", 0o644),
		"empty":             write(t, "", 0o644),
		"unknown action":    write(t, "sifgate-posture 1\nagent_unreachable maybe\n", 0o644),
		"line without word": write(t, block+"scan_wait_ms\n", 0o644),
		"negative wait":     write(t, block+"scan_wait_ms -1\n", 0o644),
	} {
		if got := Read(path); got.AgentUnreachable != "allow" || got.Problem == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestADirectoryThatOthersCanWriteSpoilsTheFile(t *testing.T) {
	path := write(t, "sifgate-posture 1\nagent_unreachable block\n", 0o644)
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if got := Read(path); got.Problem == "" {
		t.Fatalf("%+v", got)
	}
}
