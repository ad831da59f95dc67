#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# First process of a test guest, in place of a full init and its udev: mounts
# what the tests need over the read-only root, runs the agent, powers off.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/tmp LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
export PATH HOME LC_ALL PYTHONDONTWRITEBYTECODE

case $1 in
cached) ;;
memory)
	umount -l /old
	;;
*)
	mount -t proc proc /proc
	ram=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^vnr\.ram=//p')
	# The same root again, cached: its files do not change under a test.
	mount -t 9p -o ro,trans=virtio,version=9p2000.L,access=any,cache=loose,msize=512000 vnr.cached /mnt || exit
	if [ -z "$ram" ]; then
		exec chroot /mnt "$0" cached
	else
		# What is needed of it, in memory; and no file system of a device any more.
		mount -t tmpfs -o mode=755 ram /media && tar -C /media -xf "/mnt$ram" && cd /media || exit
		mkdir -p old proc sys dev tmp run var/tmp mnt root etc usr/sbin
		busybox --install -s usr/bin 2>/dev/null
		mount -t devtmpfs dev dev && mount -t proc proc proc
		pivot_root . old && exec chroot . "$0" memory
	fi
	;;
esac

exec </dev/null
# Not every root has mountpoint(1).
mounted() { grep -q " $1 " /proc/mounts 2>/dev/null; }
mounted /proc || mount -t proc proc /proc
mount -t sysfs sysfs /sys
mounted /dev || mount -t devtmpfs dev /dev 2>/dev/null
exec >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
# A checkout below a folder that gets covered stays in sight.
project=$(realpath "$(dirname "$0")/../../..")
covered=
case $project in
/tmp/* | /run/* | /var/tmp/*) covered=yes && mount --bind "$project" /mnt ;;
esac
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/tmp
[ -z "$covered" ] || { mkdir -p "$project" && mount --move /mnt "$project"; }
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t configfs configfs /sys/kernel/config 2>/dev/null
modules=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^vnr\.modules=//p')
# From memory, they are in their place.
[ ! -d "$modules" ] || mount --bind "$modules" /usr/lib/modules
ip link set lo up
# The runner asks a guest that is stuck by keys what it waits for.
sysctl -qw kernel.hung_task_timeout_secs=60 kernel.sysrq=1

job=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^vnr\.job=//p')
program=agent
! grep -q '"shell"' "$job" || program=shell
python3 "$project/tools/testing/guest/$program.py" "$job" || echo "$program ended with status $?"
# Nothing can be started any more once devices go down: wait by reading.
mkfifo /run/never
echo o >/proc/sysrq-trigger
read -r _ <>/run/never
