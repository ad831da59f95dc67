// SPDX-License-Identifier: GPL-2.0

//! Seeds for the fuzz targets, recorded by unit tests: what a test found worth a
//! look is a good place to start from.

use std::string::String;
use std::vec::Vec;
use std::{env, format, fs, path::PathBuf};

/// Writes `parts`, one after the other, as an input of `target` (fuzz/targets/ says
/// what its inputs are made of) below the folder `$WIRE_SEEDS`, if that is set.
pub(crate) fn record(target: &str, parts: &[&[u8]]) {
    let Ok(folder) = env::var("WIRE_SEEDS") else {
        return;
    };
    let input: Vec<u8> = parts.concat();
    let folder = PathBuf::from(folder).join(target);
    fs::create_dir_all(&folder).expect("make the folder of seeds");
    fs::write(folder.join(name(&input)), input).expect("write a seed");
}

/// One name for one input: its FNV-1a hash.
fn name(input: &[u8]) -> String {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
