# SPDX-License-Identifier: Apache-2.0
"""One record per decision, durable before a refusal is reported."""
