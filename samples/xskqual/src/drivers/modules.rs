// SPDX-License-Identifier: GPL-2.0

//! Files of modules.

use crate::options::DriversOptions;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Below the kernel's folder of network drivers, what has no XDP: other kinds of networks than
/// Ethernet, and parts of devices.
const WITHOUT: [&str; 12] = [
    "wireless",
    "phy",
    "can",
    "wwan",
    "ppp",
    "slip",
    "arcnet",
    "ieee802154",
    "mdio",
    "pcs",
    "hamradio",
    "wan",
];

/// The files of modules that may have network devices.
pub fn find(options: &DriversOptions) -> Result<Vec<PathBuf>, String> {
    let folder = match &options.modules {
        Some(folder) => folder.clone(),
        None => {
            let release = fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_err(|error| error.to_string())?;
            Path::new("/lib/modules").join(release.trim())
        }
    };
    let mut found = Vec::new();
    // A kernel without modules has only interfaces to ask.
    for part in ["kernel/drivers/net", "updates", "extra"] {
        walk(&folder.join(part), 0, &mut found);
    }
    found.sort();
    found.extend(options.module.iter().cloned());
    Ok(found)
}

fn walk(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let file_name = entry.file_name();
        let file_name = file_name.to_string_lossy();
        if path.is_dir() {
            if depth < 8 && !WITHOUT.contains(&file_name.as_ref()) {
                walk(&path, depth + 1, found);
            }
        } else if file_name.contains(".ko") {
            found.push(path);
        }
    }
}

/// The name of a file's module.
pub fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = name.find(".ko").unwrap_or(name.len());
    name[..end].to_string()
}

/// The bytes of a module, which may be compressed.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let program = match path.extension().unwrap_or_default().to_str() {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path).map_err(|error| error.to_string()),
    };
    let done = Command::new(program)
        .args(["-dc", "--"])
        .arg(path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        Ok(done.stdout)
    } else {
        Err(format!("{program}: {}", done.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (path, wanted) in [
            ("/a/veth.ko.xz", "veth"),
            ("/a/sfc-siena.ko", "sfc-siena"),
            ("virtio_net_rs.ko", "virtio_net_rs"),
        ] {
            assert_eq!(name(Path::new(path)), wanted);
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(read(Path::new("/nowhere/a.ko")).is_err());
        assert!(read(Path::new("/nowhere/a.ko.xz")).is_err());
    }
}
