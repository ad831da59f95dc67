// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;
use std::format;

#[test]
fn limits_are_within() {
    let checked = |len| DeviceLength::new(len).checked(26, 1536);
    assert_eq!(checked(25), Err(LengthError::TooShort));
    assert_eq!(checked(26), Ok(26));
    assert_eq!(checked(1536), Ok(1536));
    assert_eq!(checked(1537), Err(LengthError::TooLong));
    assert_eq!(checked(u32::MAX), Err(LengthError::TooLong));
    // A buffer too short for anything takes nothing.
    assert_eq!(
        DeviceLength::new(5).checked(6, 4),
        Err(LengthError::TooShort)
    );
    assert_eq!(
        DeviceLength::new(6).checked(6, 4),
        Err(LengthError::TooLong)
    );
}

#[test]
fn an_unchecked_number_is_not_printed() {
    assert!(!format!("{:?}", DeviceLength::new(12_345)).contains("12345"));
}

proptest! {
    #[test]
    fn opens_between_the_limits(
        least in 0usize..100,
        posted: u32,
        off in -2i64..=2,
        any: u32,
        near in 0usize..3,
    ) {
        let beside = |limit: usize| u32::try_from(limit as i64 + off).unwrap_or(any);
        let written = [any, beside(least), beside(posted as usize)][near];
        let opened = DeviceLength::new(written).checked(least, posted as usize);
        if (least..=posted as usize).contains(&(written as usize)) {
            prop_assert_eq!(opened, Ok(written as usize));
        } else if (written as usize) < least {
            prop_assert_eq!(opened, Err(LengthError::TooShort));
        } else {
            prop_assert_eq!(opened, Err(LengthError::TooLong));
        }
    }
}
