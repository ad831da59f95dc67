// SPDX-License-Identifier: GPL-2.0

//! What a module's file tells of its driver: the functions of the kernel that it needs, and which
//! members its tables of functions have.

use super::layout::Layout;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeSet;

/// It tells of a network device: one of these is needed to have one.
const DEVICES: [&str; 4] = [
    "register_netdev",
    "register_netdevice",
    "alloc_netdev_mqs",
    "alloc_etherdev_mqs",
];
const RUNS_PROGRAMS: [&str; 3] = [
    "bpf_dispatcher_xdp_func",
    "bpf_warn_invalid_xdp_action",
    "bpf_prog_run_generic_xdp",
];
const ZERO_COPY: [&str; 4] = [
    "xsk_tx_peek_desc",
    "xsk_tx_peek_release_desc_batch",
    "xp_alloc",
    "xp_alloc_batch",
];
const OFFLOAD: [&str; 2] = ["bpf_offload_dev_create", "bpf_offload_dev_netdev_register"];

/// None is what the file does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// It runs programs, or takes them.
    pub basic: Option<bool>,
    /// It needs `xdp_do_redirect`.
    pub redirect: Option<bool>,
    /// Its table has `ndo_xdp_xmit`.
    pub ndo_xmit: Option<bool>,
    /// It needs what serves AF_XDP.
    pub zero_copy: Option<bool>,
    /// It needs what serves offload.
    pub offload: Option<bool>,
    /// Its table of hints has these.
    pub hints: [Option<bool>; 3],
}

impl Evidence {
    /// Whether there is anything of XDP.
    pub fn has_xdp(&self) -> bool {
        [self.basic, self.redirect, self.ndo_xmit, self.zero_copy].contains(&Some(true))
    }

    /// Reads a module; None if it has no network devices.
    pub fn read(bytes: &[u8], layout: &Layout) -> Result<Option<Self>, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        let needed: BTreeSet<&str> = file
            .symbols()
            .filter(|symbol| symbol.is_undefined())
            .filter_map(|symbol| symbol.name().ok())
            .collect();
        let tables = tables(&file, layout);
        Ok(judge(&needed, &tables))
    }
}

/// Members that the tables of a module have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tables {
    /// Whether there is any of `net_device_ops`.
    is_there: bool,
    bpf: bool,
    xdp_xmit: bool,
    xsk_wakeup: bool,
    /// Of `xdp_metadata_ops`, if there is any.
    hints: Option<[bool; 3]>,
}

/// A table is a variable of the structure's size whose members are set by relocations; of
/// `net_device_ops` if it has `ndo_start_xmit`, of `xdp_metadata_ops`, which is small, if its name
/// says something of XDP.
fn tables(file: &object::File<'_>, layout: &Layout) -> Tables {
    let mut tables = Tables::default();
    for section in file.sections() {
        let variables: Vec<_> = file
            .symbols()
            .filter(|symbol| {
                symbol.kind() == SymbolKind::Data
                    && symbol.section_index() == Some(section.index())
                    && [layout.ops_size, layout.hints_size].contains(&symbol.size())
            })
            .collect();
        if variables.is_empty() {
            continue;
        }
        let set: BTreeSet<u64> = section.relocations().map(|(offset, _)| offset).collect();
        for variable in variables {
            let has = |member: u64| set.contains(&(variable.address() + member));
            if variable.size() == layout.ops_size && has(layout.start_xmit) {
                tables.is_there = true;
                tables.bpf |= has(layout.bpf);
                tables.xdp_xmit |= has(layout.xdp_xmit);
                tables.xsk_wakeup |= has(layout.xsk_wakeup);
            } else if variable.size() == layout.hints_size
                && variable.name().is_ok_and(|name| name.contains("xdp"))
            {
                let old = tables.hints.unwrap_or_default();
                tables.hints = Some([0, 1, 2].map(|at| old[at] || has(layout.hints[at])));
            }
        }
    }
    tables
}

fn judge(needed: &BTreeSet<&str>, tables: &Tables) -> Option<Evidence> {
    let needs = |names: &[&str]| names.iter().any(|name| needed.contains(name));
    if !needs(&DEVICES) {
        return None;
    }
    // Without a table in sight (drivers in Rust have theirs without a name), only symbols tell.
    let table = |has: bool| tables.is_there.then_some(has);
    let basic = needs(&RUNS_PROGRAMS) || tables.bpf;
    let hints = match tables.hints {
        Some(hints) => hints.map(Some),
        None if tables.is_there => [Some(false); 3],
        None => [None; 3],
    };
    Some(Evidence {
        basic: Some(basic),
        // Who has others run programs, as bonding has, may have them redirect too.
        redirect: if needs(&["xdp_do_redirect"]) {
            Some(true)
        } else {
            (!tables.bpf || needs(&RUNS_PROGRAMS)).then_some(false)
        },
        ndo_xmit: table(tables.xdp_xmit),
        zero_copy: Some(
            needs(&ZERO_COPY) || tables.xsk_wakeup && needs(&["xsk_get_pool_from_qid"]),
        ),
        offload: Some(needs(&OFFLOAD)),
        hints,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_tables_tell() {
        let needed = BTreeSet::from([
            "register_netdev",
            "bpf_dispatcher_xdp_func",
            "xdp_do_redirect",
            "xsk_tx_peek_desc",
        ]);
        let tables = Tables {
            is_there: true,
            bpf: true,
            hints: Some([true, false, false]),
            ..Tables::default()
        };
        let evidence = judge(&needed, &tables).unwrap();
        assert!(evidence.has_xdp());
        assert_eq!(evidence.basic, Some(true));
        assert_eq!(evidence.redirect, Some(true));
        assert_eq!(evidence.ndo_xmit, Some(false));
        assert_eq!(evidence.zero_copy, Some(true));
        assert_eq!(evidence.offload, Some(false));
        assert_eq!(evidence.hints, [Some(true), Some(false), Some(false)]);
    }

    #[test]
    fn who_runs_no_program_itself_may_have_it_redirected() {
        let needed = BTreeSet::from(["register_netdevice"]);
        let tables = Tables {
            is_there: true,
            bpf: true,
            ..Tables::default()
        };
        assert_eq!(judge(&needed, &tables).unwrap().redirect, None);
        let needed = BTreeSet::from(["register_netdevice", "bpf_dispatcher_xdp_func"]);
        assert_eq!(judge(&needed, &tables).unwrap().redirect, Some(false));
    }

    #[test]
    fn without_a_table_its_members_are_unknown() {
        let needed = BTreeSet::from(["alloc_etherdev_mqs", "xdp_do_redirect"]);
        let evidence = judge(&needed, &Tables::default()).unwrap();
        assert_eq!(evidence.ndo_xmit, None);
        assert_eq!(evidence.hints, [None; 3]);
        assert_eq!(evidence.basic, Some(false));
    }

    #[test]
    fn libraries_are_no_drivers() {
        let needed = BTreeSet::from(["xdp_do_redirect", "bpf_dispatcher_xdp_func"]);
        assert_eq!(judge(&needed, &Tables::default()), None);
    }

    #[test]
    fn nonsense_is_no_module() {
        let layout = Layout {
            ops_size: 8,
            start_xmit: 0,
            bpf: 0,
            xdp_xmit: 0,
            xsk_wakeup: 0,
            hints_size: 24,
            hints: [0, 8, 16],
        };
        assert!(Evidence::read(b"", &layout).is_err());
        assert!(Evidence::read(b"\x7fELF\x02\x01\x01nonsense", &layout).is_err());
    }
}
