# SPDX-License-Identifier: GPL-2.0
# Every version this project pins, in one place. Read by make and by shell
# (KEY=value, no spaces, no quotes).

# Debian release that the cached tree is made of, and where kernel and QEMU
# come from. The mirror is this machine's own; DEBIAN_MIRROR= names another.
DEBIAN_SUITE=trixie
DEBIAN_BACKPORTS=trixie-backports

# Kernel: series (linux-source-$(KERNEL_SERIES)) and the pinned release. When
# the mirror no longer has the release, the newest of the series is taken.
KERNEL_SERIES=7.3
KERNEL_VERSION=7.3.4
KERNEL_ABI=deb13
KERNEL_FLAVOUR=amd64
