// SPDX-License-Identifier: GPL-2.0

//! Rows of the table, and where each cell's word comes from.

use super::file::Evidence;
use super::source;
use afxdp::claims::Claims;
use serde::Serialize;

/// Columns with a yes or no.
pub const COLUMNS: [&str; 7] = [
    "basic",
    "redirect",
    "ndo_xmit",
    "multi-buffer RX",
    "multi-buffer TX",
    "zero-copy",
    "offload",
];
/// In that order, what netlink calls them.
const FEATURES: [&str; 7] = [
    "basic",
    "redirect",
    "ndo-xmit",
    "rx-sg",
    "ndo-xmit-sg",
    "xsk-zerocopy",
    "hw-offload",
];
const HINTS: [&str; 3] = ["timestamp", "hash", "vlan-tag"];

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The running kernel, of an interface that is there.
    Netlink,
    /// The module's file: symbols that it needs, functions that it has.
    File,
    /// What was read in the source of a kernel (`source.rs`).
    Source,
}

/// A word, and whose it is; no cell where nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Whether it is supported.
    pub yes: bool,
    /// Who says so.
    pub origin: Origin,
}

impl Cell {
    /// What one more says, who is not believed before those before, but for a yes in place of a no.
    fn join(old: Option<Self>, yes: bool, origin: Origin) -> Option<Self> {
        let new = Self { yes, origin };
        match old {
            Some(old) if old.yes || !yes => Some(old),
            _ => Some(new),
        }
    }
}

/// A driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The driver's name.
    pub driver: String,
    /// Interfaces of its that were asked.
    pub interfaces: Vec<String>,
    /// By column.
    pub cells: [Option<Cell>; 7],
    /// By hint.
    pub hints: [Option<Cell>; 3],
    /// `xdp-zc-max-segs`, if there is an interface.
    pub zc_max_segs: Option<u32>,
}

impl Row {
    /// One of which nothing is known.
    pub fn new(driver: &str) -> Self {
        Self {
            driver: driver.into(),
            interfaces: Vec::new(),
            cells: [None; 7],
            hints: [None; 3],
            zc_max_segs: None,
        }
    }

    /// What netlink says of an interface.
    pub fn add_claims(&mut self, interface: &str, claims: &Claims) {
        self.interfaces.push(interface.into());
        self.zc_max_segs = self.zc_max_segs.max(Some(claims.zc_max_segs));
        for (cells, names) in [
            (&mut self.cells[..], &FEATURES[..]),
            (&mut self.hints, &HINTS),
        ] {
            for (cell, name) in cells.iter_mut().zip(names) {
                let yes = claims.has(name);
                // It is the first to be believed. What an interface has off just now, the driver
                // may have all the same.
                *cell = match *cell {
                    Some(old) if old.yes && !yes => Some(old),
                    _ => Some(Cell {
                        yes,
                        origin: Origin::Netlink,
                    }),
                };
            }
        }
    }

    /// What the module's file says.
    pub fn add_file(&mut self, evidence: &Evidence) {
        let words = [
            evidence.basic,
            evidence.redirect,
            evidence.ndo_xmit,
            None,
            None,
            evidence.zero_copy,
            evidence.offload,
        ];
        for (cell, word) in self.cells.iter_mut().zip(words) {
            if let Some(yes) = word {
                *cell = Cell::join(*cell, yes, Origin::File);
            }
        }
        for (cell, word) in self.hints.iter_mut().zip(evidence.hints) {
            if let Some(yes) = word {
                *cell = Cell::join(*cell, yes, Origin::File);
            }
        }
    }

    /// What the source says of what no file does.
    pub fn add_source(&mut self) {
        let Some((rx, tx)) = source::multi_buffer(&self.driver) else {
            return;
        };
        self.cells[3] = Cell::join(self.cells[3], rx, Origin::Source);
        self.cells[4] = Cell::join(self.cells[4], tx, Origin::Source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(yes: bool, origin: Origin) -> Option<Cell> {
        Some(Cell { yes, origin })
    }

    #[test]
    fn netlink_is_believed_first() {
        let mut row = Row::new("x");
        row.add_file(&Evidence {
            basic: Some(true),
            redirect: Some(true),
            zero_copy: Some(false),
            ..Evidence::default()
        });
        row.add_claims(
            "a",
            &Claims {
                xdp: 1 | 8,
                zc_max_segs: 5,
                ..Claims::default()
            },
        );
        assert_eq!(row.cells[0], cell(true, Origin::Netlink));
        // It is off now, and the driver has it.
        assert_eq!(row.cells[1], cell(true, Origin::File));
        assert_eq!(row.cells[2], cell(false, Origin::Netlink));
        assert_eq!(row.cells[5], cell(true, Origin::Netlink));
        assert_eq!(row.zc_max_segs, Some(5));
        // A second interface that has less takes nothing away.
        row.add_claims("b", &Claims::default());
        assert_eq!(row.cells[0], cell(true, Origin::Netlink));
        assert_eq!(row.interfaces, ["a", "b"]);
    }

    #[test]
    fn source_only_fills_in() {
        let mut row = Row::new("ice");
        row.add_source();
        assert_eq!(row.cells[3], cell(true, Origin::Source));
        assert_eq!(row.cells[0], None);
        let mut row = Row::new("virtio_net");
        row.add_claims(
            "a",
            &Claims {
                xdp: 32,
                ..Claims::default()
            },
        );
        row.add_source();
        assert_eq!(row.cells[3], cell(true, Origin::Netlink));
        assert_eq!(row.cells[4], cell(true, Origin::Source));
    }

    #[test]
    fn nobody_is_no_no() {
        let mut row = Row::new("a_driver_of_nobody");
        row.add_source();
        assert_eq!(row.cells, [None; 7]);
    }
}
