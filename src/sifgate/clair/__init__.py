# SPDX-License-Identifier: Apache-2.0
"""Clair v4's HTTP API and what its reports cover."""
