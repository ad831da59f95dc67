#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# First process of a test guest, in place of a full init and its udev: mounts
# what the tests need over the read-only root, runs the agent, powers off.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/tmp LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
export PATH HOME LC_ALL PYTHONDONTWRITEBYTECODE
exec </dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/tmp
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t configfs configfs /sys/kernel/config 2>/dev/null
ip link set lo up
# Traffic must be the tests' own.
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0 \
	net.ipv6.conf.default.accept_ra=0 kernel.panic_on_oops=0 kernel.hung_task_timeout_secs=60

job=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^vnr\.job=//p')
python3 "$(dirname "$0")/agent.py" "$job" || echo "agent ended with status $?"
sync
echo o >/proc/sysrq-trigger
sleep 30
