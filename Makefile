# SPDX-License-Identifier: GPL-2.0
# virtio-net-rs. "make help" lists the targets; Kbuild has the module's objects.

.DEFAULT_GOAL := all
SHELL := /bin/bash
env := tools/env

# Settings of a run, from the command line, reach the scripts by environment.
export KDIR KSRC V T DRIVER PARAMS FULL B INSTALL_MOD_PATH

.PHONY: all
all:
	@ko=$$($(env)/module.sh) && \
		if [ -z "$$KDIR" ]; then cmp -s "$$ko" virtio_net_rs.ko || cp "$$ko" virtio_net_rs.ko; fi && \
		echo "  built   $$ko"
