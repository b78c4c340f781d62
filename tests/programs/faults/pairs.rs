//! Samples pairs of faults: what one fault sets up, another may hit.

use std::collections::BTreeMap;

use tokenturn::connect::faults::plan::Planned;

use super::{
    judge::Reference,
    menu::{Key, Mode},
    scenario,
};

/// So many pairs over all scenarios and modes; the same seed and the same effects give the same pairs.
pub fn sample(references: &BTreeMap<(&'static str, Mode), Reference>, number: usize, seed: Option<u64>) -> Vec<Key> {
    let seed = seed.unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
    super::say(&format!("seed {seed}"));
    let mut dice = Dice(seed);
    let fields: Vec<_> = references.iter().collect();
    (0..number)
        .map(|_| {
            let ((scenario, mode), reference) = dice.of(&fields);
            let effects: Vec<_> = reference
                .effects
                .iter()
                .flat_map(|(name, most)| (1..=*most).map(move |number| (name, number)))
                .collect();
            let mut planned = || loop {
                let (effect, occurrence) = dice.of(&effects);
                let fault = *dice.of(mode.faults());
                if scenario::named(scenario).is_none_or(|row| row.ends_with(effect, fault)) {
                    return Planned { effect: (*effect).clone(), occurrence: *occurrence, fault };
                }
            };
            let faults = vec![planned(), planned()];
            Key { scenario, mode: *mode, faults }
        })
        .collect()
}

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        &choices[(mixed % choices.len() as u64) as usize]
    }
}
