// SPDX-License-Identifier: GPL-2.0

//! Numbers as the user's locale writes them.

/// How numbers are written.
#[derive(Clone, Debug)]
pub struct Locale {
    point: String,
    separator: String,
    /// Digits of each group from the right; the last goes on.
    groups: Vec<u8>,
}

impl Default for Locale {
    /// That of the C library when it starts.
    fn default() -> Self {
        Self {
            point: ".".to_owned(),
            separator: String::new(),
            groups: Vec::new(),
        }
    }
}

/// A text of the C library's locale, without the 0 at its end.
fn bytes<'t>(text: *const libc::c_char) -> &'t [u8] {
    // SAFETY: It ends with 0, and stays.
    unsafe { std::slice::from_raw_parts(text.cast(), libc::strlen(text)) }
}

impl Locale {
    /// The user's, by environment.
    pub fn of_user() -> Self {
        // SAFETY: The text ends with 0; nobody else uses the locale, as there are no threads.
        let known =
            unsafe { libc::setlocale(libc::LC_NUMERIC, c"".to_bytes_with_nul().as_ptr().cast()) };
        if known.is_null() {
            return Self::default();
        }
        // SAFETY: The structure is the library's, and stays until the locale is changed, which is
        // not done again.
        let locale = unsafe { &*libc::localeconv() };
        Self {
            point: String::from_utf8_lossy(bytes(locale.decimal_point)).into_owned(),
            separator: String::from_utf8_lossy(bytes(locale.thousands_sep)).into_owned(),
            groups: bytes(locale.grouping).to_vec(),
        }
    }

    /// A whole number in groups.
    pub fn whole(&self, number: u64) -> String {
        let mut rest = number.to_string();
        let mut parts = Vec::new();
        let mut groups = self.groups.iter();
        let mut size = None;
        if !self.separator.is_empty() {
            loop {
                size = groups.next().copied().or(size);
                // So many that there is no further group.
                let Some(len) = size.filter(|size| (1..i8::MAX as u8).contains(size)) else {
                    break;
                };
                if rest.len() <= usize::from(len) {
                    break;
                }
                parts.push(rest.split_off(rest.len() - usize::from(len)));
            }
        }
        parts.push(rest);
        parts.reverse();
        parts.join(&self.separator)
    }

    /// A rate, without a fraction, in groups.
    pub fn rate(&self, rate: f64) -> String {
        self.whole(rate.round_ties_even() as u64)
    }

    /// With so many digits of a fraction, without groups.
    pub fn fraction(&self, number: f64, digits: usize) -> String {
        format!("{number:.digits$}").replace('.', &self.point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(point: &str, separator: &str, groups: &[u8]) -> Locale {
        Locale {
            point: point.to_owned(),
            separator: separator.to_owned(),
            groups: groups.to_vec(),
        }
    }

    #[test]
    fn groups_are_the_locales() {
        let c = Locale::default();
        assert_eq!(c.whole(1_234_567), "1234567");
        assert_eq!(c.fraction(1.005, 2), "1.00");
        let english = locale(".", ",", &[3, 3]);
        assert_eq!(english.whole(0), "0");
        assert_eq!(english.whole(999), "999");
        assert_eq!(english.whole(1000), "1,000");
        assert_eq!(english.rate(1_234_567.5), "1,234,568");
        let german = locale(",", ".", &[3]);
        assert_eq!(german.whole(12_345_678), "12.345.678");
        assert_eq!(german.fraction(2.5, 2), "2,50");
        let hindi = locale(".", ",", &[3, 2]);
        assert_eq!(hindi.whole(123_456_789), "12,34,56,789");
        // No further groups after the first.
        assert_eq!(locale(".", ",", &[3, 127]).whole(1_234_567), "1234,567");
    }
}
