#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts munged, slurmctld and one slurmd per directory of /nodes, says "ready", and ends the namespace when its
# standard input closes: nothing outlives who started the cluster.
set -u
mkdir -p /run/munge /run/slurm /run/sifgate /etc/sifgate /var/log/slurm /var/lib/slurm/slurmctld /run/user
chown munge: /run/munge /var/log/munge /var/lib/munge /etc/munge
chown slurm: /run/slurm /var/log/slurm /var/lib/slurm /var/lib/slurm/slurmctld
chmod 755 /run/munge
chmod 700 /etc/munge
[ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 2>/dev/null
chown munge: /etc/munge/munge.key
chmod 400 /etc/munge/munge.key
echo "127.0.0.1 localhost tb $(basename -a /nodes/*/ | tr '\n' ' ')" >/etc/hosts

groupadd --gid 2100 lab
useradd --create-home --uid 2001 --groups lab --shell /bin/bash alice || exit 1
useradd --create-home --uid 2002 --shell /bin/bash bob || exit 1
runuser -u munge -- /usr/sbin/munged || exit 1
/usr/sbin/slurmctld -i </dev/null || exit 1
configless=
[ ! -e /usr/local/lib/testbed/configless ] || configless=tb
for node in /nodes/*/; do
	name=$(basename "$node")
	mkdir -p "/var/spool/slurmd.$name"
	# Namespaces per node: each has its host name, its own agent and its own posture under the production paths.
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --uts --propagation private /bin/sh -c '
		hostname "$1" && mkdir -p /var/lib/private-tmp && mount -t tmpfs tmpfs /var/lib/private-tmp && mount --bind "/nodes/$1/run" /run/sifgate && mount --bind "/nodes/$1/etc" /etc/sifgate || exit 1
		[ -z "$2" ] || mount -t tmpfs tmpfs /etc/slurm || exit 1
		exec /usr/sbin/slurmd -D -N "$1" ${2:+--conf-server "$2"}' slurmd "$name" "$configless" </dev/null >"/var/log/slurm/slurmd.$name.out" 2>&1 &
done
echo started
cat >/dev/null
