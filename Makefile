# SPDX-License-Identifier: GPL-2.0
# virtio-net-rs. "make help" lists the targets; the module's objects are in Kbuild.

.DEFAULT_GOAL := all
SHELL := /bin/bash
module := tools/env/module.sh
in_tree := tools/env/in-tree.sh
testing := tools/testing

# Settings of a run reach the scripts by environment; those not given do not.
settings := KDIR KSRC V T DRIVER PARAMS FULL JOBS QUICK DEBUG B INSTALL_MOD_PATH FUZZ FUZZ_S FUZZ_RUNS
$(foreach s,$(settings),$(if $($(s)),$(eval export $(s))))

# Rust sources as they lie in the checkout; tests that must not build included.
rust_sources = $(shell find rust drivers samples tools -name '*.rs' \
	-not -path '*/target/*' -not -name '*_generated.rs' 2>/dev/null)

.PHONY: all
all:
	@ko=$$($(module)) || exit; \
	if [ -z "$$KDIR" ] && ! cmp -s "$$ko" virtio_net_rs.ko; then \
		cp "$$ko" build/.ko.new && mv build/.ko.new virtio_net_rs.ko; \
	fi; \
	echo "  BUILT   $${ko#$(CURDIR)/}"

.PHONY: install
install: all
	@tools/env/install.sh

.PHONY: test test-debug bench bench-full vm
test: all
	@$(testing)/test.sh

test-debug:
	@$(testing)/test.sh --debug

bench: all
	@$(testing)/bench.sh

bench-full: export FULL := 1
bench-full: all
	@$(testing)/bench.sh

vm: all
	@$(testing)/vm.sh

.PHONY: fuzz coverage
fuzz:
	@$(testing)/host/fuzz.sh

coverage:
	@$(testing)/host/coverage.sh

.PHONY: check-tree
check-tree:
	@$(testing)/check-tree.sh

# Other flags than the module's, hence build folders of their own.
.PHONY: clippy
clippy:
	@BUILD=$(CURDIR)/build/clippy $(module) CLIPPY=1 CLIPPY_CONF_DIR=$(CURDIR) \
		KRUSTFLAGS=-Dwarnings modules >/dev/null

.PHONY: doc
doc:
	@$(module) VNR_DOC=$(CURDIR)/build/doc modules >/dev/null
	@echo "  DOC     build/doc/knet/index.html build/doc/virtio_net_wire/index.html"

.PHONY: fmt fmtcheck
fmt:
	@$(in_tree) rustfmt --edition 2021 $(rust_sources)

fmtcheck:
	@$(in_tree) rustfmt --edition 2021 --check $(rust_sources)

.PHONY: pyflakes
pyflakes:
	@$(in_tree) python3 -m pyflakes $$(find tools samples -name '*.py')

.PHONY: clean
clean:
	rm -rf build virtio_net_rs.ko

.PHONY: help
help:
	@sed -n 's/^#? \{0,1\}//p' Makefile

#? Targets (times: 2 cores, after the first run, which takes about 6 minutes
#? more to make the cached Debian tree and kernel build tree):
#?
#?   make                  build virtio_net_rs.ko for Debian's 7.3 kernel       15 s
#?   make KDIR=<folder>    build it for another kernel with CONFIG_RUST=y,
#?                         such as /lib/modules/$(uname -r)/build; the result
#?                         is build/<release>/virtio_net_rs.ko                 15 s
#?   make install          copy it below INSTALL_MOD_PATH (default: /) and run
#?                         depmod; give KDIR= to install for that kernel
#?   make test             guest tests of both drivers, host tests beside them; KTAP
#?   make test-debug       guest tests on a kernel with KASAN, lockdep, DMA-API
#?                         debug, fault injection and Rust's debug assertions,
#?                         which is built first, once: 28 min beside tests
#?   make bench            compare with the C driver; report in build/bench     4.5 min
#?   make bench-full       the same with all scenarios, more repeats, latency and
#?                         memory; started again, it goes on where it was ended
#?   make vm               a guest with the module loaded and a shell
#?   make clippy           the kernel's lints, warnings are errors              15 s
#?   make fmtcheck, fmt    check, or correct, the formatting of Rust             1 s
#?   make pyflakes         names in Python that are not defined or not used      2 s
#?   make fuzz             FUZZ_S=60 seconds of each fuzz target of the wire
#?                         crate, or FUZZ_RUNS=N executions; FUZZ=<targets>     5 min
#?   make coverage         what the wire crate's tests execute of it           10 s
#?   make doc              rustdoc of knet and virtio_net_wire in build/doc     25 s
#?   make check-tree       rules of the tree: licences, unsafe, helper size      1 s
#?   make clean            remove what was built here; the cache stays
#?
#? Variables: V=1 shows commands. KSRC=<folder or tarball> is the source of
#? KDIR's kernel, needed once where its headers lack Rust metadata. T=<pattern>
#? DRIVER=c|rust PARAMS=<device parameters> choose tests and guests, FULL=1 the
#? whole matrix, RESUME=1 what is left of it, B=<scenarios> the benchmark's.
#? DEBUG=1 has `make test` build the debug kernel too, and `make vm` start it.
#? The cache is virtio-net-rs in $XDG_CACHE_HOME or ~/.cache.
