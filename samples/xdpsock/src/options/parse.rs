// SPDX-License-Identifier: GPL-2.0

//! Words of the command line that are not simple numbers.

/// A MAC address: six numbers of one or two digits.
pub fn mac(text: &str) -> Result<[u8; 6], String> {
    let parts: Vec<&str> = text.split(':').collect();
    let parts = <[&str; 6]>::try_from(parts).ok();
    let mut mac = [0; 6];
    for (byte, part) in mac
        .iter_mut()
        .zip(parts.ok_or_else(|| format!("{text} is no MAC address"))?)
    {
        *byte = u8::from_str_radix(part, 16)
            .ok()
            .filter(|_| part.len() <= 2)
            .ok_or_else(|| format!("{text} is no MAC address"))?;
    }
    Ok(mac)
}

/// A hexadecimal number of 32 bits, with or without 0x.
pub fn pattern(text: &str) -> Result<u32, String> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    u32::from_str_radix(digits, 16).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(
            mac("3c:fd:fe:9e:7f:71"),
            Ok([0x3c, 0xfd, 0xfe, 0x9e, 0x7f, 0x71])
        );
        assert_eq!(mac("2:0:0:0:0:A"), Ok([2, 0, 0, 0, 0, 10]));
        for wrong in [
            "",
            "1:2:3:4:5",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:006",
            "1:2:3:4:5:g",
        ] {
            assert!(mac(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_are_hexadecimal() {
        assert_eq!(pattern("0x12345678"), Ok(0x1234_5678));
        assert_eq!(pattern("ff"), Ok(0xff));
        assert!(pattern("0x123456789").is_err());
    }
}
