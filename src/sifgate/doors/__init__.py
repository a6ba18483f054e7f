# SPDX-License-Identifier: Apache-2.0
"""The doors as they lie on a node: put in place, taken away, looked at; one door a file, no agent needed."""
