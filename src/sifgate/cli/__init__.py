# SPDX-License-Identifier: Apache-2.0
"""The `sifgate` command, one file per verb."""
