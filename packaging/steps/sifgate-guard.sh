#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -u
# shellcheck source=packaging/steps/units.sh
. "${0%/*}/units.sh" # the package has its text here

# Opt-in: the unit is never switched on by the package.
case "${1:-}" in
put)
	reload_units
	if booted && systemctl --quiet is-active sifgate-guard.service; then act restart sifgate-guard.service; fi
	;;
take)
	[ ! -e /var/lib/sifgate/doors/guard ] || sifgate guard remove || say "guard could not be taken away"
	switch_off sifgate-guard.service
	;;
esac
exit 0
