# SPDX-License-Identifier: Apache-2.0
"""Raw facts of one door become a LaunchEvent; one parser per door, pure."""
