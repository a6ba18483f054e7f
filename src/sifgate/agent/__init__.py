# SPDX-License-Identifier: Apache-2.0
"""The node daemon: answers shims, keeps the node cache, asks the server."""
