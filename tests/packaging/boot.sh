#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# First process of a small machine: builds its root, moves into it, becomes systemd. Dies with whoever started it.
# boot.sh WORK TREE: WORK holds upper, overlay, root, share; TREE is only read; share is /share inside.
set -eu
work=$1 tree=$2 root=$1/root

hostname machine
ip link set lo up
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/overlay" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/share" "$root/.old"
mount --bind "$work/share" "$root/share"
cd "$root"
pivot_root . .old
mount --make-rprivate /
umount -l /.old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin "SIFGATE_TEST_SESSION=${SIFGATE_TEST_SESSION:-}" \
	/usr/lib/systemd/systemd --system --log-target=null systemd.unit=basic.target
