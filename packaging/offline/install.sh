#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs sifgate from this directory alone; needs no network. What the packages need of the distribution (its python3,
# libseccomp) must be installed, or in a repository that this host reaches.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

usage() {
	cat <<'END'
usage: install.sh ROLE…

roles:
  node      agent, command line, wrapper before Apptainer, hooks; the SPANK plugin where this host has Slurm
  guard     the fanotify guard (opt-in: it must be switched on afterwards)
  server    server and embedded engine, with Clair as it was built for this bundle
  check     only compare every file with SHA256SUMS

exit codes: 0 done, 1 not, 2 wrong usage
END
}

say() { echo "sifgate: $*"; }
die() {
	echo "sifgate: $*" >&2
	exit 1
}

# Prints the files of packages for this host, as far as the bundle has them.
files() {
	for name in "$@"; do
		if [ "$form" = deb ]; then
			set -- "$here"/packages/deb/"$name"_*"$mark"_*.deb
		else
			set -- "$here"/packages/rpm/"$name"-[0-9]*.rpm
		fi
		[ -e "$1" ] && printf '%s\n' "$1"
	done
	return 0
}

this_host() {
	# shellcheck source=/dev/null
	. /etc/os-release
	if command -v dpkg >/dev/null; then
		form=deb
		case ${VERSION_CODENAME:-} in
		trixie) mark=+deb13 ;;
		bookworm) mark=+deb12 ;;
		*) die "no packages for ${PRETTY_NAME:-this distribution}: install the wheels with pip (docs/doors/packages.md)" ;;
		esac
	elif command -v rpm >/dev/null; then
		form=rpm mark=
	else
		die "neither dpkg nor rpm on this host"
	fi
}

put() {
	[ $# -gt 0 ] || die "the bundle has no such packages for this host"
	if [ "$form" = rpm ]; then
		if command -v dnf >/dev/null; then dnf --assumeyes install "$@"; else rpm --upgrade --oldpackage --replacepkgs "$@"; fi
	elif command -v apt-get >/dev/null; then
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --allow-downgrades --reinstall "$@"
	else
		dpkg --install "$@"
	fi
}

# As `sifgate up` itself would have left them: it checks owner, mode and digest at every start.
put_clair() {
	for directory in "$here"/clair/*/; do
		target=/var/cache/sifgate/clair/$(basename "$directory")
		install -d -m 0755 /var/cache/sifgate /var/cache/sifgate/clair "$target"
		for program in clair clairctl; do
			install -m 0755 "$directory/$program" "$target/.$program.new"
			install -m 0644 "$directory/$program.sha256" "$target/$program.sha256"
			mv -f "$target/.$program.new" "$target/$program"
		done
	done
}

put_data() {
	if [ -e "$here/advisories/advisories.gz" ]; then
		install -m 0644 "$here/advisories/advisories.gz" /var/cache/sifgate/advisories.gz
		say "advisories: in /etc/sifgate/sifgate.yaml set"
		say "  engine: {advisories: {source: bundle, path: /var/cache/sifgate/advisories.gz}}"
	else
		say "this bundle has only the advisories that ship with sifgate: for a first look, not for production"
	fi
	if [ -e "$here/mapping/repository-to-cpe.json" ]; then
		install -m 0644 "$here/mapping/repository-to-cpe.json" /var/cache/sifgate/repository-to-cpe.json
		say "for RHEL images: engine: {clair: {repo2cpe_file: /var/cache/sifgate/repository-to-cpe.json}}"
	fi
}

[ $# -gt 0 ] || {
	usage >&2
	exit 2
}
for role in "$@"; do
	case $role in
	node | guard | server | check) ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done
(cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) || die "this bundle is damaged"
[ "$*" != check ] || exit 0
[ "$(id -u)" = 0 ] || die "only root can install packages"
this_host
names=
for role in "$@"; do
	case $role in
	node)
		names="$names sifgate-agent sifgate-wrapper sifgate-hooks"
		if command -v srun >/dev/null || command -v slurmd >/dev/null; then names="$names sifgate-spank"; fi
		;;
	guard) names="$names sifgate-agent sifgate-guard" ;;
	server)
		names="$names sifgate-server sifgate-agent"
		put_clair
		;;
	esac
done
# shellcheck disable=SC2046,SC2086 # words; no file of the bundle has blanks in its name
put $(files $names | sort -u)
case " $* " in *" server "*) put_data ;; esac
say "done; sifgate doctor shows what is in place"
