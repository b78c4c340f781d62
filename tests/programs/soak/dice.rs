//! Random numbers that come again with the same seed.

use std::{ops::Range, time::Duration};

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }

    /// A span within a range.
    pub fn span(&mut self, range: &Range<Duration>) -> Duration {
        let width = u64::try_from((range.end - range.start).as_millis()).unwrap_or(u64::MAX).max(1);
        range.start + Duration::from_millis(self.next() % width)
    }
}
