// SPDX-License-Identifier: GPL-2.0

//! Compiles the BPF programs; clang does that, as rustc has no stable BPF target.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, io};

const SOURCE: &str = "bpf/xdpsock.bpf.c";

/// The compilers to try: the one that is named, the usual one, and Debian's by their versions.
fn compilers() -> Vec<String> {
    match env::var("CLANG") {
        Ok(clang) => vec![clang],
        Err(_) => std::iter::once("clang".to_owned())
            .chain((14..=22).rev().map(|version| format!("clang-{version}")))
            .collect(),
    }
}

fn compile(clang: &str, to: &Path) -> io::Result<bool> {
    let mut command = Command::new(clang);
    command.args([
        "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra",
    ]);
    // Where Debian has what belongs to an architecture, and clang does not look for BPF.
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    command.arg(format!("-I/usr/include/{machine}-linux-gnu"));
    let status = command.args(["-c", SOURCE, "-o"]).arg(to).status()?;
    Ok(status.success())
}

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CLANG");
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    let to = Path::new(&folder).join("xdpsock.bpf.o");
    for clang in compilers() {
        match compile(&clang, &to) {
            Ok(true) => return ExitCode::SUCCESS,
            Ok(false) => {
                println!("cargo::error={clang} did not compile {SOURCE}; it needs the headers of libbpf (libbpf-dev)");
                return ExitCode::FAILURE;
            }
            Err(_) => {}
        }
    }
    println!("cargo::error=no clang was found: install it, or name it by CLANG=");
    ExitCode::FAILURE
}
