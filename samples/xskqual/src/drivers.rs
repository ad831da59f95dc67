// SPDX-License-Identifier: GPL-2.0

//! The table of drivers: what each supports of XDP, as far as anything here tells.

mod cells;
mod file;
mod layout;
mod modules;
mod print;
mod source;

use crate::interface::Interface;
use crate::options::DriversOptions;
use afxdp::netdev;
use cells::Row;
use file::Evidence;
use std::collections::BTreeMap;

/// Prints it.
pub fn run(options: &DriversOptions) -> Result<i32, String> {
    let layout = layout::Layout::read(options.btf.as_deref())?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut unread = Vec::new();
    for path in modules::find(options)? {
        let name = modules::name(&path);
        if !options.wants(&name) {
            continue;
        }
        match modules::read(&path).and_then(|bytes| Evidence::read(&bytes, &layout)) {
            Ok(Some(evidence)) if options.all || evidence.has_xdp() => {
                rows.entry(name.clone())
                    .or_insert_with(|| Row::new(&name))
                    .add_file(&evidence);
            }
            Ok(_) => {}
            Err(why) => unread.push(format!("{}: {why}", path.display())),
        }
    }
    for name in Interface::names().map_err(|error| error.to_string())? {
        let Ok(interface) = Interface::find(&name) else {
            continue;
        };
        let driver = interface.driver.clone();
        if driver.is_empty() || !options.wants(&driver) {
            continue;
        }
        let claims = netdev::claims_of(interface.ifindex)?;
        if options.all || claims.xdp != 0 || rows.contains_key(&driver) {
            rows.entry(driver.clone())
                .or_insert_with(|| Row::new(&driver))
                .add_claims(&name, &claims);
        }
    }
    let rows: Vec<Row> = rows
        .into_values()
        .map(|mut row| {
            row.add_source();
            row
        })
        .collect();
    if options.json {
        println!("{}", print::json(&rows, &unread)?);
    } else if options.markdown {
        print!("{}", print::markdown(&rows, &unread));
    } else {
        print!("{}", print::text(&rows, &unread));
    }
    if rows.is_empty() {
        return Err("no driver was found".into());
    }
    Ok(0)
}
