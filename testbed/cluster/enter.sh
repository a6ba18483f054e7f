#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# First process of the cluster's namespaces: builds the root, moves into it, starts the daemons' script.
# enter.sh WORK TREE: WORK holds upper, overlay, root, nodes, login, scratch, binds; TREE is only read.
set -eu
work=$1 tree=$2 root=$1/root

hostname tb
ip link set lo up
ip addr add 10.99.0.1/32 dev lo # with 127.0.0.1 alone, getaddrinfo with AI_ADDRCONFIG finds nothing

mount -t overlay overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/overlay" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup" # a pure cgroup2 view: the host's may be hybrid
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
if [ -c "$root/dev/fuse" ]; then # some hosts keep it for root, nodes do not: one of our own, here alone
	mknod -m 0666 "$root/run/.fuse" c 10 229
	mount --bind "$root/run/.fuse" "$root/dev/fuse"
fi
mkdir -p "$root/.old" "$root/scratch" "$root/nodes" "$root/images" "$root/run/sifgate" "$root/etc/sifgate"
mount --bind "$work/login/run" "$root/run/sifgate"
mount --bind "$work/login/etc" "$root/etc/sifgate"
mount --bind "$work/scratch" "$root/scratch"
mount --bind "$work/nodes" "$root/nodes"
for bind in "$work"/binds/*; do # each is a symbolic link to a host directory, shown read-only as /images/NAME
	[ -L "$bind" ] || continue
	name=$(basename "$bind")
	mkdir -p "$root/images/$name"
	mount --bind "$(readlink "$bind")" "$root/images/$name"
	mount -o remount,bind,ro "$root/images/$name"
done
cd "$root"
pivot_root . .old
mount --make-rprivate /
umount -l /.old
exec /bin/bash /usr/local/lib/testbed/daemons.sh
