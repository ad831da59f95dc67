#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# First process of a test guest, in place of a full init and its udev: mounts
# what the tests need over the read-only root, runs the agent, powers off. It starts
# few programs, as each costs much under emulation while nothing is cached.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/tmp LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
export PATH HOME LC_ALL PYTHONDONTWRITEBYTECODE

case $1 in
cached) ;;
memory)
	umount -l /old
	;;
*)
	# The same root again, cached: its files do not change under a test.
	mount -t 9p -o ro,trans=virtio,version=9p2000.L,access=any,cache=loose,msize=512000 vnr.cached /mnt || exit
	# A word of the kernel's command line that it gives to its first process.
	if [ -z "${vnr_ram:-}" ]; then
		exec chroot /mnt "$0" cached
	else
		# What is needed of it, in memory; and no file system of a device any more.
		mount -t tmpfs -o mode=755 ram /media && tar -C /media -xf "/mnt$vnr_ram" && cd /media || exit
		mkdir -p old proc sys dev tmp run var/tmp mnt root etc usr/sbin
		# It finds itself there.
		mount -t proc proc /proc
		busybox --install -s usr/bin 2>/dev/null
		mount -t devtmpfs devtmpfs dev && mount -t proc proc proc
		pivot_root . old && exec chroot . "$0" memory
	fi
	;;
esac

exec </dev/null
here=${0%/*} project=${0%/tools/testing/*}
# A checkout below a folder that gets covered stays in sight.
covered=
case $project in
/tmp/* | /run/* | /var/tmp/*) covered=yes && mount --bind "$project" /mnt ;;
esac
# It looks there for what is mounted.
[ "$1" = memory ] || mount -t proc proc /proc
mount -a -T "$here/fstab"
exec >/dev/console 2>&1
# Guests in memory do not have that one.
mount -t configfs configfs /sys/kernel/config 2>/dev/null
[ -z "$covered" ] || { mkdir -p "$project" && mount --move /mnt "$project"; }

# A word of the kernel's command line.
option() {
	for word in $cmdline; do
		case $word in "$1="*) echo "${word#*=}" ;; esac
	done
}
read -r cmdline </proc/cmdline
modules=$(option vnr.modules)
# From memory, they are in their place.
[ ! -d "$modules" ] || mount --bind "$modules" /usr/lib/modules
ip link set lo up
# The runner asks a guest that is stuck by keys what it waits for.
echo 60 >/proc/sys/kernel/hung_task_timeout_secs
echo 1 >/proc/sys/kernel/sysrq

job=$(option vnr.job)
program=agent
! grep -q '"shell"' "$job" || program=shell
python3 "$here/$program.py" "$job" || echo "$program ended with status $?"
# Nothing can be started any more once devices go down: wait by reading.
mkfifo /run/never
echo o >/proc/sysrq-trigger
read -r _ <>/run/never
