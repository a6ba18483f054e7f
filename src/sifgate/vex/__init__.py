# SPDX-License-Identifier: Apache-2.0
"""VEX: what authors say of vulnerabilities in products, read from and written to the usual formats."""
