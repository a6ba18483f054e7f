#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -u
# shellcheck source=packaging/steps/units.sh
. "${0%/*}/units.sh" # the package has its text here

# slurmd drains a node whose prolog is missing. So the prolog is no file of the package but a copy, and outlasts it where
# slurm.conf may name it (a node without slurm.conf may get its settings from the controller): alone it ends with 0.
prolog=/usr/libexec/sifgate/prolog
named() { [ ! -e /etc/slurm/slurm.conf ] || grep -rqs "$prolog" /etc/slurm; }

# Hooks that were put in place are brought up to date; none is put in place by the package.
case "${1:-}" in
put)
	if cp /usr/lib/sifgate/prolog "$prolog.new"; then mv -f "$prolog.new" "$prolog"; fi
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
	if named; then
		say "$prolog stays and does nothing: take it out of slurm.conf, then remove it"
	else
		rm -f "$prolog"
	fi
	;;
esac
exit 0
