# SPDX-License-Identifier: Apache-2.0
"""Root trees, images and clusters that demo, tests and bench share; nothing here is installed."""
