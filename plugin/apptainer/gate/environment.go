// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strconv"
	"strings"
)

// The lists of plugin/client/environment.c: what a parser of the agent reads, and never what holds a secret.
var (
	names = []string{
		"HOME", "PYXIS_CONTAINER_IMAGE", "PYXIS_CONTAINER_NAME", "SCRATCH", "SLURM_CONTAINER",
		"SLURM_SINGULARITY_CONTAINER", "SLURM_SUBMIT_DIR", "TMPDIR", "USER", "WORK",
	}
	prefixes = []string{"APPTAINER_", "SINGULARITY_", "APPTAINERENV_LD_", "SINGULARITYENV_LD_"}
	secrets  = []string{"PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "USERNAME", "PEM"}
	ranks    = []string{"SLURM_PROCID", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"}
)

const digitsLimit = 9

// isRead returns whether a variable concerns the gate.
func isRead(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	for _, known := range names {
		if name == known {
			return true
		}
	}
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return !holdsSecret(name)
		}
	}
	return false
}

func holdsSecret(name string) bool {
	for _, secret := range secrets {
		if strings.Contains(name, secret) {
			return true
		}
	}
	return false
}

// OriginOf reads where in a parallel program this is. The highest rank counts: what mpirun starts in a batch script has
// one of its own, and the script's SLURM_PROCID, which is 0.
func OriginOf(look func(name string) string) Origin {
	found := Origin{Rank: -1}
	for _, name := range ranks {
		found.Rank = max(found.Rank, small(look(name)))
	}
	if job := small(look("SLURM_JOB_ID")); job >= 0 {
		found.Job = strconv.Itoa(job)
	}
	return found
}

// small returns a small decimal number, or -1.
func small(text string) int {
	if len(text) == 0 || len(text) > digitsLimit || strings.Trim(text, "0123456789") != "" {
		return -1
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return value
}
