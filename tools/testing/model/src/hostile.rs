// SPDX-License-Identifier: GPL-2.0

//! Lies, by name.
//!
//! Ring and network code asks here at each point where a device can lie. A lie
//! is told with a probability, or the next so many times; each one that was
//! really told is counted, so that a test can prove that it happened.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! lies {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// What a device can lie about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Lie {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Lie {
            /// All of them.
            pub const ALL: &'static [Lie] = &[$(Lie::$variant),*];

            /// The name that scripts use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Lie::$variant => $name,)*
                }
            }
        }
    };
}

lies! {
    /// A used id that is beyond the ring.
    UsedIdBeyond = "used_id_beyond",
    /// A used id within the ring that is most likely not outstanding.
    UsedIdOther = "used_id_other",
    /// The previous used id once more, in place of the right one.
    UsedIdRepeat = "used_id_repeat",
    /// A used length beyond what was offered.
    UsedLenHuge = "used_len_huge",
    /// A used length that ends within the packet header.
    UsedLenShort = "used_len_short",
    /// A used length of zero.
    UsedLenZero = "used_len_zero",
    /// The used index runs ahead by some entries that nobody wrote.
    UsedIndexJump = "used_index_jump",
    /// The used index runs ahead by more than the ring is long (split rings).
    UsedIndexJumpFar = "used_index_jump_far",
    /// A received packet over no buffers.
    NumBuffersZero = "num_buffers_zero",
    /// A received packet over more buffers than there are.
    NumBuffersHuge = "num_buffers_huge",
    /// One buffer more than the packet has.
    NumBuffersOneMore = "num_buffers_one_more",
    /// A partial checksum that starts beyond the frame.
    CsumStart = "csum_start",
    /// A partial checksum that is stored beyond the frame.
    CsumOffset = "csum_offset",
    /// A GSO type that nobody knows.
    GsoType = "gso_type",
    /// A GSO packet with segments of no payload.
    GsoSizeZero = "gso_size_zero",
    /// A GSO type on a frame that is shorter than its headers.
    GsoShortFrame = "gso_short_frame",
    /// A header length beyond the frame.
    HdrLen = "hdr_len",
    /// All bits of the flags.
    HeaderFlags = "header_flags",
    /// The whole header at random.
    HeaderRandom = "header_random",
    /// The header at random, but for the number of buffers.
    HeaderRandomInside = "header_random_inside",
    /// A hash report type that nobody knows.
    HashType = "hash_type",
    /// Offsets of tunnel headers beyond the frame.
    TunnelOffsets = "tunnel_offsets",
    /// A frame shorter than an Ethernet header.
    FrameRunt = "frame_runt",
    /// A control command that is used without an answer in it.
    CtrlShort = "ctrl_reply_short",
    /// A control command that is answered a while later.
    CtrlLate = "ctrl_reply_late",
    /// A control command that is never answered.
    CtrlNever = "ctrl_reply_never",
    /// A control command that is not carried out.
    CtrlRefused = "ctrl_refused",
    /// A control command that is carried out and said to have failed.
    CtrlWrong = "ctrl_reply_wrong",
    /// A control command whose answer is neither yes nor no.
    CtrlGarbage = "ctrl_reply_garbage",
    /// Device statistics at random; of most records the type, queue or length too.
    StatsGarbage = "stats_garbage",
    /// An interrupt for a change of configuration that there was not.
    ConfigInterrupt = "config_interrupt",
    /// The link goes down or up, at each tick.
    LinkFlap = "link_flap",
    /// An interrupt of a queue for nothing.
    InterruptSpurious = "interrupt_spurious",
    /// An interrupt that the driver waits for is not sent.
    InterruptLost = "interrupt_lost",
    /// A receive queue that takes no more buffers, from then on until its reset.
    RxStop = "rx_queue_stop",
    /// A transmit queue that is no longer looked at, until its reset.
    TxStop = "tx_queue_stop",
    /// A device reset that does not happen.
    ResetRefused = "reset_refused",
    /// A queue reset that does not happen.
    QueueResetRefused = "queue_reset_refused",
    /// The device says that it needs a reset.
    NeedsReset = "needs_reset",
    /// The MTU is none any more when it is read again.
    MtuChanges = "mtu_changes",
    /// The longest hash key is none any more when it is read again.
    HashingChanges = "hashing_changes",
    /// The feature bits that the driver accepted are refused.
    FeaturesRefused = "features_refused",
}

impl Lie {
    /// The lie of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|lie| lie.name() == name)
    }
}

/// When a lie is told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The next so many times that there is an occasion.
    Next(u64),
    /// At each occasion with this probability, 0 to 1.
    Probability(f64),
}

/// What was asked for is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLie(pub String);

impl std::fmt::Display for UnknownLie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is not a lie that is known", self.0)
    }
}

impl std::error::Error for UnknownLie {}

/// A lie that is to be told.
#[derive(Clone, Copy, Debug)]
struct Rule {
    when: When,
    /// The only queue that it is told about, if it is about queues.
    queue: Option<u16>,
}

/// The lies that one port tells, and has told.
#[derive(Clone, Debug, Default)]
pub struct Hostile {
    rules: BTreeMap<Lie, Rule>,
    told: BTreeMap<Lie, u64>,
    random: Random,
}

impl Hostile {
    /// A device that tells the truth.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `lie` from now on as `when` says, in place of what was set before; of queues only
    /// about `queue`, if there is one.
    pub fn set(&mut self, lie: Lie, when: When, queue: Option<u16>) {
        match when {
            When::Next(0) => self.rules.remove(&lie),
            When::Probability(p) if p.is_nan() || p <= 0.0 => self.rules.remove(&lie),
            _ => self.rules.insert(lie, Rule { when, queue }),
        };
    }

    /// The same by name; `all` means every lie.
    ///
    /// # Errors
    ///
    /// [`UnknownLie`], with nothing set.
    pub fn set_by_name(
        &mut self,
        name: &str,
        when: When,
        queue: Option<u16>,
    ) -> Result<(), UnknownLie> {
        if name == "all" {
            Lie::ALL.iter().for_each(|lie| self.set(*lie, when, queue));
            return Ok(());
        }
        let lie = Lie::from_name(name).ok_or_else(|| UnknownLie(name.into()))?;
        self.set(lie, when, queue);
        Ok(())
    }

    /// Tells the truth again. Counters stay.
    pub fn honest(&mut self) {
        self.rules.clear();
    }

    /// Starts the random numbers anew, so that a run can be repeated.
    pub fn seed(&mut self, seed: u64) {
        self.random = Random(seed | 1);
    }

    /// How often each lie was told, for those that were.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.told.iter().map(|(lie, count)| (lie.name(), *count))
    }

    /// How often this one was told.
    pub fn count(&self, lie: Lie) -> u64 {
        self.told.get(&lie).copied().unwrap_or(0)
    }

    /// Whether nothing is set: the fast path.
    pub fn is_honest(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether one of these lies is set.
    pub fn has_rules(&self, lies: &[Lie]) -> bool {
        lies.iter().any(|lie| self.rules.contains_key(lie))
    }

    /// There is an occasion for `lie`: whether to tell it, which is then counted.
    pub fn tells(&mut self, lie: Lie) -> bool {
        let Some(Rule { when, .. }) = self.rules.get_mut(&lie) else {
            return false;
        };
        let tells = match when {
            When::Next(left) => {
                *left -= 1;
                true
            }
            When::Probability(p) => self.random.fraction() < *p,
        };
        if matches!(when, When::Next(0)) {
            self.rules.remove(&lie);
        }
        if tells {
            *self.told.entry(lie).or_insert(0) += 1;
        }
        tells
    }

    /// The same about a queue.
    pub fn tells_about(&mut self, queue: u16, lie: Lie) -> bool {
        let only = self.rules.get(&lie).and_then(|rule| rule.queue);
        only.is_none_or(|only| only == queue) && self.tells(lie)
    }

    /// Random numbers that repeat with the same seed.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

/// A small generator of random numbers (xorshift64*), not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 to less than 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number less than `limit`, or 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_u64() % limit.max(1)
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
    }
}
