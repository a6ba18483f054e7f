//go:build apptainer_engine

// SPDX-License-Identifier: Apache-2.0

package main

// version is written anew by `sifgate apptainer-plugin install`: it tells one state of these sources from another.
const version = "source"
