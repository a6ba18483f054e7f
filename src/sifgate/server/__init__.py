# SPDX-License-Identifier: Apache-2.0
"""The site service near Clair: slim layers in, verdicts out."""
