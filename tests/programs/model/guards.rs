//! Each guard taken away in turn: the model has to find what breaks without it.

use tokenturn::core::guards::Guard;

use crate::world::Habit;

/// A guard of the core, or a habit of the operator's reads and writes.
#[derive(Clone, Copy, Debug)]
pub enum Without {
    Guard(Guard),
    Habit(Habit),
}

/// A guard and the world in which it is missed.
pub struct Case {
    pub without: Without,
    pub world: &'static str,
}

const fn core(guard: Guard, world: &'static str) -> Case {
    Case { without: Without::Guard(guard), world }
}

const fn habit(habit: Habit, world: &'static str) -> Case {
    Case { without: Without::Habit(habit), world }
}

/// One row for each guard.
pub const CASES: [Case; 51] = [
    core(Guard::Settle, "rotation"),
    core(Guard::OwnIntent, "rotation, two replicas"),
    core(Guard::CreateOnce, "rotation, lost answers"),
    core(Guard::NewAttempt, "rotation, lost answers"),
    core(Guard::ReplacesAlive, "token replaced in place"),
    core(Guard::Sweep, "rotation, lost answers"),
    core(Guard::SweepKnownAttempts, "rotation, two replicas"),
    core(Guard::SweepSparesRecord, "target deleted"),
    core(Guard::SweepSparesPublished, "cluster restored"),
    core(Guard::VerifyFirst, "wanting token"),
    core(Guard::GoOnWithPublished, "rotation"),
    core(Guard::KeepPublished, "wanting token, target deleted"),
    core(Guard::Fence, "wanting token"),
    core(Guard::Frozen, "target made immutable"),
    core(Guard::Snapshot, "rotation"),
    core(Guard::SnapshotVanished, "forced deletion"),
    core(Guard::Pickup, "rotation"),
    core(Guard::ImagePulls, "rotation of an image pull secret"),
    core(Guard::Grace, "rotation with grace"),
    core(Guard::TargetStillNew, "target set back"),
    core(Guard::Reopen, "target set back"),
    core(Guard::Evidence, "rotation"),
    core(Guard::NewWorks, "token killed by others"),
    core(Guard::ConfirmDead, "rotation, one lost answer"),
    core(Guard::SeveralRefusals, "token refused for a while"),
    core(Guard::RevokeFirst, "token refused for a while"),
    core(Guard::KeepPresumedDead, "token refused for a while"),
    core(Guard::ForeignIntent, "rotation, two replicas"),
    core(Guard::StaleRecord, "record restored"),
    core(Guard::RetirePickup, "object deleted"),
    core(Guard::RetireTarget, "object deleted"),
    core(Guard::RetireHandOver, "two objects, the first deleted"),
    core(Guard::RetireTakeOver, "deleted at once"),
    core(Guard::RetireDead, "object deleted"),
    core(Guard::LostRecord, "record deleted"),
    core(Guard::UnknownPast, "record deleted"),
    core(Guard::LostHolders, "record deleted, tokens not listed"),
    core(Guard::OwnRecord, "look at another owner"),
    core(Guard::RetireSweep, "finalizer stripped"),
    habit(Habit::TargetFirst, "target deleted, two replicas"),
    habit(Habit::ObjectAgain, "deleted at once"),
    habit(Habit::TargetVersion, "pending token refused, two replicas"),
    habit(Habit::CreateSoon, "deleted at once, no crash"),
    core(Guard::RetireSettle, "deleted at once, no crash"),
    habit(Habit::ReadPresent, "token displaced"),
    habit(Habit::PublishSoon, "deleted at once, no crash"),
    habit(Habit::RecordVersion, "rotation, two replicas"),
    habit(Habit::CountTerminating, "rotation"),
    habit(Habit::Contact, "forced deletion"),
    habit(Habit::OwnTarget, "two objects, one Secret"),
    habit(Habit::OwnNames, "two objects, the second deleted"),
];
