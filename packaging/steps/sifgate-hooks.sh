#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -u
# shellcheck source=packaging/steps/units.sh
. "${0%/*}/units.sh" # the package has its text here

# Hooks that were put in place are brought up to date; none is put in place by the package.
case "${1:-}" in
put)
	for door in prolog oci-hook enroot-hook; do
		[ -e "/var/lib/sifgate/doors/$door" ] || continue
		while read -r words; do
			eval "sifgate $door install $words" </dev/null || say "$door is not in place: sifgate $door status"
		done <"/var/lib/sifgate/doors/$door"
	done
	;;
take)
	for door in prolog oci-hook enroot-hook; do
		[ -e "/var/lib/sifgate/doors/$door" ] || continue
		sifgate "$door" remove || say "$door could not be taken away: sifgate $door status"
	done
	;;
esac
exit 0
