// SPDX-License-Identifier: GPL-2.0

//! Compiles the BPF programs, which are part of the program then.

fn main() -> std::process::ExitCode {
    bpfbuild::programs(&["xdpsock"])
}
