# SPDX-License-Identifier: Apache-2.0
"""What a policy would do: over cases, recorded launches and reports; always by the one evaluator."""
