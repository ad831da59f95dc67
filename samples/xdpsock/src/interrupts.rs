// SPDX-License-Identifier: GPL-2.0

//! Interrupts of a device, by a text of /proc/interrupts.

use std::fs;

/// An interrupt that is counted.
pub struct Interrupt {
    number: u32,
    at_start: u64,
}

/// The number of the first line that has the text in it.
fn find(table: &str, text: &str) -> Option<u32> {
    let line = table.lines().find(|line| line.contains(text))?;
    line.split(':').next()?.trim().parse().ok()
}

/// All of a list with a number for each processor.
fn total(list: &str) -> Option<u64> {
    list.trim()
        .split(',')
        .map(|count| count.parse::<u64>().ok())
        .sum()
}

impl Interrupt {
    /// The one of that text.
    pub fn find(text: &str) -> Option<Self> {
        let number = find(&fs::read_to_string("/proc/interrupts").ok()?, text)?;
        let mut interrupt = Self {
            number,
            at_start: 0,
        };
        interrupt.at_start = interrupt.count()?;
        Some(interrupt)
    }

    /// How many there were since then.
    pub fn count(&self) -> Option<u64> {
        let list = fs::read_to_string(format!("/sys/kernel/irq/{}/per_cpu_count", self.number));
        Some(total(&list.ok()?)?.saturating_sub(self.at_start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "           CPU0       CPU1\n  \
        1:          0          9  IO-APIC   1-edge      i8042\n \
        27:       1000         23  PCI-MSIX-0000:00:03.0   1-edge      virtio0-input.0\n\
        NMI:          0          0   Non-maskable interrupts\n";

    #[test]
    fn lines_are_found() {
        assert_eq!(find(TABLE, "virtio0-input"), Some(27));
        assert_eq!(find(TABLE, "i8042"), Some(1));
        assert_eq!(find(TABLE, "eth7"), None);
        // One without a number.
        assert_eq!(find(TABLE, "Non-maskable"), None);
    }

    #[test]
    fn processors_are_summed() {
        assert_eq!(total("1000,23\n"), Some(1023));
        assert_eq!(total("7\n"), Some(7));
        assert_eq!(total(""), None);
    }
}
