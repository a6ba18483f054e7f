# SPDX-License-Identifier: Apache-2.0
"""Makes wheel, sdist, deb, rpm and the offline bundle: `python -m sifpack`."""
