# SPDX-License-Identifier: Apache-2.0
"""Looks at a node for `sifgate doctor`: each module one side of it, nothing changed, nothing raised."""
