#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make-selftests.sh SOURCE OUT - inside the tree: take the kernel's selftests of
# network drivers, XDP and AF_XDP from the tarball SOURCE, as they are, with the parts of the
# kernel's tree that they need, and build their programs. OUT is laid out as the
# kernel's tree is; nothing in it is changed, only added to.

set -euo pipefail
source=$1 out=$2
top=$(basename "$source" .tar.xz)

# MAINTAINERS: by which ynl_gen_c.py knows the top of the tree, looking for it without end.
parts=(Makefile MAINTAINERS arch/x86/Makefile arch/x86/Makefile_32.cpu arch/x86/include arch/x86/entry/syscalls
	include/uapi include/asm-generic scripts usr tools/arch tools/build tools/include tools/lib
	tools/net/ynl tools/scripts Documentation/netlink
	tools/testing/selftests/{lib.mk,kselftest.h,kselftest_harness.h,kselftest,net,drivers/net,bpf})
# Those that a kernel of another version lacks are missed by what needs them.
mkdir -p "$out"
tar -C "$out" --strip-components=1 -xf "$source" "${parts[@]/#/$top/}"

# -C: no MAKEFLAGS of an outer make, whose job server the tree does not see.
make() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory -C "$@"
}

# programs FOLDER NAME... - build these of a folder's programs, by its own Makefile.
programs() {
	local folder=$out/tools/testing/selftests/$1
	shift
	make "$folder" CC=gcc-14 HOSTCC=gcc-14 CLANG=clang-19 ARCH=x86 OUTPUT="$folder" \
		BPFTOOL="$(command -v bpftool)" VMLINUX_BTF="$out/vmlinux" SKIP_LLVM=1 "${@/#/$folder/}"
}

make "$out" ARCH=x86 HOSTCC=gcc-14 headers
# The types of the guests' kernel, of which BPF programs get a header.
"$out/scripts/extract-vmlinux" "/boot/vmlinuz-$(</etc/virtio-net-rs/kernel-release)" >"$out/vmlinux"
programs net/lib csum gro xdp_helper {xdp_dummy,xdp_native,xdp_metadata}.bpf.o
programs drivers/net napi_id_helper
programs drivers/net/hw toeplitz
programs bpf xskxceiver xdp_features xdp_synproxy xdp_synproxy_kern.bpf.o

# What was only there to build with.
rm -rf "$out"/{arch,include,scripts,usr,vmlinux,tools/arch,tools/build,tools/include,tools/lib} \
	"$out/tools/testing/selftests/net/lib/tools"
(cd "$out/tools/testing/selftests/bpf" && find . -mindepth 1 ! -name xskxceiver ! -name xdp_features \
	! -name xdp_synproxy ! -name xdp_synproxy_kern.bpf.o -delete)
# Under emulation compiling at each start would cost more than most tests.
python3 -m compileall -q --invalidation-mode unchecked-hash "$out/tools"
