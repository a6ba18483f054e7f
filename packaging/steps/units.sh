# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the package manager has done for this package, by verb: put (first|again) after its files are there, take before
# they go. Each step may be repeated, says what it could not do, and lets the others happen: a package manager that is
# stuck on a node would be worse than a door that is not in place (`sifgate doctor` shows that).
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

say() { echo "sifgate: $*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
booted() { [ -d /run/systemd/system ]; }

# In a chroot, or where policy-rc.d forbids it, nothing is started.
act() {
	booted || return 0
	if has deb-systemd-invoke; then
		deb-systemd-invoke "$@" >/dev/null || say "systemctl $* failed"
	else
		systemctl "$@" >/dev/null || say "systemctl $* failed"
	fi
}

# A new unit is switched on, a known one stays as the administrator left it; rpm's rule is the site's preset.
switch_on() {
	if has deb-systemd-helper; then
		deb-systemd-helper unmask "$1" >/dev/null 2>&1
		if deb-systemd-helper --quiet was-enabled "$1"; then
			deb-systemd-helper enable "$1" >/dev/null || say "$1 cannot be enabled"
		else
			deb-systemd-helper update-state "$1" >/dev/null 2>&1
		fi
	elif [ "$2" = first ] && has systemctl; then
		systemctl --no-reload preset "$1" >/dev/null 2>&1 || say "$1 cannot be preset"
	fi
}

# Debian's helper keeps a removed package's units masked, and forgets them when it is purged: the maintainer scripts' task.
switch_off() {
	if booted && has systemctl; then systemctl --no-reload stop "$1" >/dev/null 2>&1; fi
	if ! has deb-systemd-helper && has systemctl; then systemctl --no-reload disable "$1" >/dev/null 2>&1; fi
}

reload_units() { if booted && has systemctl; then systemctl daemon-reload || say "systemctl daemon-reload failed"; fi; }

accounts() {
	if has systemd-sysusers; then
		systemd-sysusers "/usr/lib/sysusers.d/$1" || say "system users of $1 could not be made"
		return
	fi
	awk '$1 == "u" { print $2 }' "/usr/lib/sysusers.d/$1" | while read -r user; do
		id "$user" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin "$user" || say "the system user $user could not be made"
	done
}

# Only where the package was built without this Python: bytecode is made here, before anything starts.
compile() {
	[ -e "/usr/lib/sifgate/$1/compile" ] || return 0
	"/usr/lib/sifgate/$1/bin/python3" -Im compileall -q -f "/usr/lib/sifgate/$1/lib" >/dev/null || say "$1: no bytecode"
}

no_bytecode() { find "/usr/lib/sifgate/$1" -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null; }
