// SPDX-License-Identifier: GPL-2.0

//! The table's own building blocks; tests/features.rs has what it says.

use super::*;
use std::fmt::Write;
use std::format;

#[test]
fn a_dependency_on_all_on_any_and_on_both() {
    use Features as F;

    let both = F::CSUM | F::MAC;
    let all = Dependency::all(F::MQ, both);
    let any = Dependency::any(F::MQ, both);
    let mixed = Dependency::any(F::MQ, both).and_all(F::CTRL_VQ);
    for (features, expected) in [
        (F::empty(), [false, false, false]),
        (F::CSUM, [false, true, false]),
        (both, [true, true, false]),
        (F::CTRL_VQ, [false, false, false]),
        (F::MAC | F::CTRL_VQ, [false, true, true]),
        (both | F::CTRL_VQ, [true, true, true]),
    ] {
        let met = [all, any, mixed].map(|dependency| dependency.is_met_by(features));
        assert_eq!(met, expected, "{features}");
    }
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[test]
fn a_text_that_does_not_fit_is_an_error() {
    let features = Features::CSUM | Features::MAC | Features::from_bits_retain(1 << 127);
    let len = format!("{features}").len();
    for room in 0..len {
        assert!(write!(Full(room), "{features}").is_err(), "{room}");
    }
    assert!(write!(Full(len), "{features}").is_ok());
}
