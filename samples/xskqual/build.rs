// SPDX-License-Identifier: GPL-2.0

//! Compiles the BPF programs, which are part of the program then.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

fn main() {
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang-19".into());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    for name in ["actions", "hints", "tag"] {
        let source = Path::new("bpf").join(format!("{name}.bpf.c"));
        println!("cargo::rerun-if-changed={}", source.display());
        let status = Command::new(&clang)
            .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
            .args(["-Wall", "-Wextra", "-Werror"])
            .arg(format!("-I/usr/include/{arch}-linux-gnu"))
            .arg("-c")
            .arg(&source)
            .arg("-o")
            .arg(out.join(format!("{name}.o")))
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => fail(&format!("{clang} {}: {status}", source.display())),
            Err(error) => fail(&format!("{clang}: {error}; CLANG= names another compiler")),
        }
    }
    println!("cargo::rerun-if-changed=bpf/frame.h");
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    exit(1);
}
