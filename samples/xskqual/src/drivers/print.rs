// SPDX-License-Identifier: GPL-2.0

//! The table, for terminals, pages and programs.

use super::cells::{Cell, Origin, Row, COLUMNS};
use super::source;
use serde_json::json;
use std::fs;

const HINTS: [&str; 3] = ["timestamp", "hash", "vlan"];

fn word(cell: Option<Cell>) -> &'static str {
    match cell {
        None => "?",
        Some(cell) => match (cell.yes, cell.origin) {
            (true, Origin::Netlink) => "yes",
            (true, Origin::File) => "yes*",
            (true, Origin::Source) => "yes+",
            (false, Origin::Netlink) => "no",
            (false, Origin::File) => "no*",
            (false, Origin::Source) => "no+",
        },
    }
}

fn hints(row: &Row) -> String {
    let there: Vec<String> = HINTS
        .iter()
        .zip(row.hints)
        .filter_map(|(name, cell)| {
            cell.filter(|cell| cell.yes)
                .map(|cell| format!("{name}{}", &word(Some(cell))[3..]))
        })
        .collect();
    if !there.is_empty() {
        return there.join(" ");
    }
    word(row.hints[0]).into()
}

fn lines(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines = vec![["driver"]
        .iter()
        .chain(&COLUMNS)
        .chain(&["metadata hints", "asked"])
        .map(ToString::to_string)
        .collect::<Vec<_>>()];
    for row in rows {
        let mut line = vec![row.driver.clone()];
        for (at, cell) in row.cells.iter().enumerate() {
            let mut text = word(*cell).to_string();
            // How many chunks a frame may have.
            if let (5, "yes", Some(most)) = (at, text.as_str(), row.zc_max_segs) {
                text += &format!(" ({most})");
            }
            line.push(text);
        }
        line.push(hints(row));
        line.push(row.interfaces.join(" "));
        lines.push(line);
    }
    lines
}

/// What the marks mean.
fn legend() -> [String; 4] {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    [
        format!(
            "kernel {}; yes, no: netlink says so of the interfaces that were asked (zero-copy: chunks of a frame)",
            release.trim()
        ),
        "*: from the module's file: symbols that it needs, members of its tables".into(),
        format!("+: from the source of {}", source::KERNEL),
        "?: nobody here tells".into(),
    ]
}

/// For terminals.
pub fn text(rows: &[Row], unread: &[String]) -> String {
    let lines = lines(rows);
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|at| lines.iter().map(|line| line[at].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text.push('\n');
    for line in legend().iter().chain(unread) {
        text += &format!("{line}\n");
    }
    text
}

/// For pages.
pub fn markdown(rows: &[Row], unread: &[String]) -> String {
    let mut text = String::new();
    for (number, line) in lines(rows).iter().enumerate() {
        let cells: Vec<String> = line.iter().map(|cell| cell.replace('*', "\\*")).collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if number == 0 {
            text += &format!("|{}\n", " --- |".repeat(line.len()));
        }
    }
    text.push('\n');
    for line in legend().iter().chain(unread) {
        text += &format!("- {}\n", line.replace('*', "\\*"));
    }
    text
}

/// For programs.
pub fn json(rows: &[Row], unread: &[String]) -> Result<String, String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let all: Vec<_> = rows
        .iter()
        .map(|row| {
            let cells: serde_json::Map<_, _> = COLUMNS
                .iter()
                .zip(row.cells)
                .map(|(name, cell)| (name.to_string(), json!(cell)))
                .collect();
            let hints: serde_json::Map<_, _> = HINTS
                .iter()
                .zip(row.hints)
                .map(|(name, cell)| (name.to_string(), json!(cell)))
                .collect();
            json!({
                "driver": row.driver,
                "interfaces": row.interfaces,
                "support": cells,
                "hints": hints,
                "zc_max_segs": row.zc_max_segs,
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({
        "kernel": release.trim(),
        "source": source::KERNEL,
        "drivers": all,
        "unread": unread,
    }))
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use afxdp::claims::Claims;

    fn rows() -> Vec<Row> {
        let mut row = Row::new("virtio_net");
        row.add_claims(
            "eth0",
            &Claims {
                xdp: 1 | 8,
                rx_metadata: 2,
                zc_max_segs: 18,
                ..Claims::default()
            },
        );
        row.add_source();
        vec![row, Row::new("x")]
    }

    #[test]
    fn columns_stand_below_each_other() {
        let text = text(&rows(), &["a.ko: bad".into()]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("driver      basic"));
        assert!(lines[1].starts_with("virtio_net  yes"));
        assert_eq!(lines[0].find("zero-copy"), lines[1].find("yes (18)"));
        assert!(lines[1].contains("yes+"));
        assert!(lines[1].ends_with("hash            eth0"));
        assert!(lines[2].starts_with("x           ?"));
        assert_eq!(lines.last(), Some(&"a.ko: bad"));
    }

    #[test]
    fn markdown_has_as_many_cells_everywhere() {
        let text = markdown(&rows(), &[]);
        let counts: Vec<usize> = text
            .lines()
            .take(4)
            .map(|line| line.matches('|').count())
            .collect();
        assert_eq!(counts, [11; 4]);
    }

    #[test]
    fn json_says_who_says_so() {
        let text = json(&rows(), &[]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let row = &value["drivers"][0];
        assert_eq!(row["support"]["basic"]["yes"], true);
        assert_eq!(row["support"]["basic"]["origin"], "netlink");
        assert_eq!(row["support"]["multi-buffer TX"]["origin"], "source");
        assert_eq!(
            value["drivers"][1]["support"]["basic"],
            serde_json::Value::Null
        );
    }
}
