// SPDX-License-Identifier: GPL-2.0

//! Compiles the BPF programs of a sample, from its build script.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, io};

/// The compilers to try: the one that is named, the usual one, and Debian's by their versions.
fn compilers() -> Vec<String> {
    match env::var("CLANG") {
        Ok(clang) => vec![clang],
        Err(_) => std::iter::once("clang".to_owned())
            .chain((14..=22).rev().map(|version| format!("clang-{version}")))
            .collect(),
    }
}

fn compile(clang: &str, source: &str, to: &Path) -> io::Result<bool> {
    // Where Debian has what belongs to an architecture, and clang does not look for BPF.
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let status = Command::new(clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
        .args(["-Wall", "-Wextra", "-Werror"])
        .arg(format!("-I/usr/include/{machine}-linux-gnu"))
        .args(["-c", source, "-o"])
        .arg(to)
        .status()?;
    Ok(status.success())
}

/// `bpf/NAME.bpf.c` becomes `NAME.o` in cargo's output folder, for each name. Cargo is told why if it
/// cannot be done, and what `main` is to return.
pub fn programs(names: &[&str]) -> ExitCode {
    println!("cargo::rerun-if-env-changed=CLANG");
    println!("cargo::rerun-if-changed=bpf");
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    for name in names {
        let source = format!("bpf/{name}.bpf.c");
        let to = Path::new(&folder).join(format!("{name}.o"));
        // The next one is tried where there is no such compiler.
        match compilers()
            .iter()
            .find_map(|clang| compile(clang, &source, &to).ok())
        {
            Some(true) => {}
            Some(false) => {
                println!("cargo::error=clang did not compile {source}; it needs the headers of libbpf (libbpf-dev)");
                return ExitCode::FAILURE;
            }
            None => {
                println!("cargo::error=no clang was found: install it, or name it by CLANG=");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
