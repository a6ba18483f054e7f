#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -u
# shellcheck source=packaging/steps/units.sh
. "${0%/*}/units.sh" # the package has its text here

case "${1:-}" in
put)
	accounts sifgate-server.conf
	compile server
	reload_units
	# Neither is switched on by itself: a site has one of them, and its settings first.
	for unit in sifgate-server.service sifgate-engine.service; do
		if booted && systemctl --quiet is-active "$unit"; then act restart "$unit"; fi
	done
	;;
take)
	switch_off sifgate-server.service
	switch_off sifgate-engine.service
	no_bytecode server
	;;
esac
exit 0
