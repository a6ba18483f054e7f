# SPDX-License-Identifier: Apache-2.0
"""sifgate: a gate that knows what is in a container image at the moment it starts."""
