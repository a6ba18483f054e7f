# SPDX-License-Identifier: Apache-2.0
"""The use case: review one launch, from request to decision."""
