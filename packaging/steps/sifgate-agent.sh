#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -u
# shellcheck source=packaging/steps/units.sh
. "${0%/*}/units.sh" # the package has its text here

live=/usr/lib/sifgate/live

# Settings and policy are the site's from the first moment on: put where there is none, never touched again.
first_settings() {
	install -d -m 0755 /etc/sifgate /var/lib/sifgate /var/log/sifgate
	for file in policy.yaml sifgate.yaml; do
		[ -e "/etc/sifgate/$file" ] || install -m 0644 "/usr/share/sifgate/$file" "/etc/sifgate/$file"
	done
}

# Hard links: complete before the agent is told, no space, and the running agent keeps all of its own files. Those of
# the agent before stay until the next upgrade.
copy_alive() {
	old=$(readlink "$live/agent" 2>/dev/null) || old=
	new=$(cat /usr/lib/sifgate/agent/version 2>/dev/null).$$
	mkdir -p "$live" && chmod 0755 "$live" || return 1
	rm -rf "$live/.$new"
	cp -al /usr/lib/sifgate/agent "$live/.$new" 2>/dev/null || cp -a /usr/lib/sifgate/agent "$live/.$new" || return 1
	mv -T "$live/.$new" "$live/$new" && ln -sfn "$new" "$live/.agent" && mv -T "$live/.agent" "$live/agent" || return 1
	for place in "$live"/*; do
		case ${place##*/} in
		agent | "$new" | "$old") ;;
		*) rm -rf "$place" ;;
		esac
	done
}

# An agent that somebody started by hand, or `sifgate up`, is not pushed aside.
foreign() {
	! systemctl --quiet is-active sifgate-agent.socket && /usr/lib/sifgate/agent/bin/python3 -Ic 'import socket
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("/run/sifgate/agent.sock")' 2>/dev/null
}

serve() {
	if foreign; then
		say "another agent listens on /run/sifgate/agent.sock: end it, then systemctl start sifgate-agent.socket"
		return
	fi
	act start sifgate-agent.socket
	act restart sifgate-agent.service
}

case "${1:-}" in
put)
	accounts sifgate-agent.conf
	first_settings || say "/etc/sifgate could not be prepared"
	compile agent
	copy_alive || { say "no copy of the agent's files in $live: the next upgrade may interrupt it"; rm -f "$live/agent"; }
	has systemd-tmpfiles && systemd-tmpfiles --create sifgate.conf
	switch_on sifgate-agent.socket "${2:-again}"
	switch_on sifgate-agent.service "${2:-again}"
	reload_units
	if booted; then serve; fi
	;;
take)
	switch_off sifgate-agent.service
	switch_off sifgate-agent.socket
	no_bytecode agent
	rm -rf "$live" /run/sifgate/agent.sock
	;;
esac
exit 0
