# SPDX-License-Identifier: Apache-2.0
"""The bytes of an image become a slim layer and its fingerprint."""
