# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: layers, the scan queue, verdicts, steps and launches; one file per noun."""
