#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Enroot: asks the agent of this node before the container starts; anything but 0 ends the start.
exec /usr/libexec/sifgate/sifgate-ask enroot
