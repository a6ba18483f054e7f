# SPDX-License-Identifier: Apache-2.0
"""What is written in a policy and does nothing, or will soon do something else than its author thinks."""
