//! Replicas that do not trust each other, crashes at any moment, lost answers, late caches, pods of their own mind: many
//! random histories of the real core, judged by what happened to tokens and pods.

use crate::world::{Fate, World};

/// A small generator of numbers, so that a failing history is named by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn fate(&mut self, faults: bool) -> Fate {
        match self.roll(20) {
            0 if faults => Fate::ReplyLost,
            1 if faults => Fate::DiedAfter,
            2 if faults => Fate::DiedBefore,
            _ => Fate::Answered,
        }
    }
}

/// What may happen in a history besides the replicas' own steps.
#[derive(Clone, Copy)]
struct Weather {
    faults: bool,
    rotations: u64,
    deletes_target: bool,
}

fn run(seed: u64, replicas: usize, weather: Weather) -> World {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut world = World::new(replicas);
    let mut requests = 0;
    for _ in 0..4_000 {
        match dice.roll(24) {
            0 => world.start_pod_if_few(dice.roll(4)),
            1 => world.restart_pod(dice.roll(64), dice.roll(4)),
            2..=4 => world.roll(dice.roll(4)),
            5..=8 => world.tick(1 + dice.roll(2)),
            9 if requests < weather.rotations && world.is_at_rest() => {
                requests += 1;
                if let Some(resource) = &mut world.resource {
                    resource.rotate_now = Some(requests.to_string());
                }
            }
            10 if weather.faults && dice.roll(4) == 0 => {
                let replica = dice.roll(replicas as u64) as usize;
                world.die(replica);
            }
            11 if weather.deletes_target && dice.roll(12) == 0 => world.delete_target(),
            _ => {
                let replica = dice.roll(replicas as u64) as usize;
                let fate = dice.fate(weather.faults);
                world.advance(replica, fate);
            }
        }
        if world.broken.is_some() {
            break;
        }
    }
    // Calm: one replica goes on alone and everything has to come to rest.
    if world.broken.is_none() {
        for replica in 0..world.replicas_count {
            world.die(replica);
        }
        for _ in 0..20_000 {
            world.advance(0, Fate::Answered);
            world.roll(0);
            if dice.roll(3) == 0 {
                world.tick(1);
            }
            if world.broken.is_some() || (world.is_at_rest() && world.live().len() == 1) {
                break;
            }
        }
    }
    world
}

fn judged(seed: u64, replicas: usize, weather: Weather) -> (i64, usize) {
    let world = run(seed, replicas, weather);
    let story = || {
        let from = world.story.len().saturating_sub(40);
        world.story[from..].join("\n")
    };
    assert!(world.broken.is_none(), "seed {seed}, {replicas} replicas: {:?}\n{}", world.broken, story());
    assert!(world.is_at_rest(), "L1 seed {seed}, {replicas} replicas: not at rest\n{}", story());
    assert_eq!(world.live(), world.carried().into_iter().collect::<Vec<_>>(), "S4 seed {seed}\n{}", story());
    (world.sequence(), world.creates)
}

/// Runs histories with different seeds and expects that something happened in them.
fn histories(count: u64, replicas: usize, weather: Weather) {
    let mut rotations = 0;
    for seed in 1..=count {
        rotations += judged(seed, replicas, weather).0;
    }
    assert!(rotations > i64::try_from(count).unwrap_or(i64::MAX), "hardly anything was rotated: {rotations}");
}

#[test]
fn one_replica_without_faults_rotates_as_often_as_asked() {
    let weather = Weather { faults: false, rotations: 3, deletes_target: false };
    for seed in 1..=50 {
        let (sequence, creates) = judged(seed, 1, weather);
        assert_eq!(i64::try_from(creates).unwrap(), sequence, "one create for each rotation");
    }
}

#[test]
fn one_replica_that_dies_at_any_moment_breaks_nothing() {
    histories(400, 1, Weather { faults: true, rotations: 3, deletes_target: false });
}

#[test]
fn two_replicas_that_both_lead_break_nothing() {
    histories(400, 2, Weather { faults: false, rotations: 3, deletes_target: false });
    histories(400, 2, Weather { faults: true, rotations: 3, deletes_target: false });
}

#[test]
fn three_replicas_and_a_target_that_others_delete_break_nothing() {
    histories(300, 3, Weather { faults: true, rotations: 3, deletes_target: true });
}
