//! What happens in the world: how it moves from one state to the next.

use crate::{
    operator::Operator,
    scenarios::Ends,
    state::{Activity, Base, Late, Life, RecordId, Replica, State},
    token::{Object, Token, Viewer},
};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A replica reads, decides, or acts.
    Advance(usize, Fate),
    /// A process dies and another one starts.
    Crash(usize),
    /// A request that its sender believes lost is carried out.
    Land,
    /// Time passes.
    Tick,
    /// A pod starts, and its kubelet gives it this token.
    Start(Token),
    /// A container restarts in place.
    Restart(usize, Token),
    Terminate(usize),
    End(usize),
    /// A pod is deleted by force.
    Force(usize),
    /// The node falls silent, or is back.
    Node(bool),
    /// A rotation is asked for.
    Rotate(Object),
    /// An object is deleted, and the workload scaled to nothing.
    Delete(Object),
    /// Somebody scales the workload up again, or to nothing.
    Scale(bool),
    /// The current token is killed at the provider.
    Death(Token),
    /// A living token is refused, and missing in the list.
    Mute(Token),
    /// What was refused for a while is accepted again.
    Speak,
    /// Somebody deletes the target.
    DeleteTarget,
    /// Somebody makes the target immutable.
    Freeze,
    /// Somebody puts an older token into the target.
    Revert(Token),
    /// Somebody copies the target with its labels to where the stranger is, and pods use the copy.
    Copy,
    DeleteCopy,
    /// The pods that use the copy are scaled to nothing.
    LeaveCopy,
    /// Somebody copies record and target.
    Backup(Object),
    /// The record is as it was then, and the target if it is restored too. The provider does not go back.
    Restore {
        of: Object,
        target: bool,
    },
    /// Somebody deletes the record.
    Lose(Object),
    /// Somebody takes the finalizer off, so that the object goes.
    Strip(Object),
}

/// How a request ends for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Answered,
    /// It is carried out, and the answer is lost.
    ReplyLost,
    /// It is not carried out, and its sender is told so or told nothing.
    Failed,
    /// Its sender gives up, and it is carried out later.
    Late,
    /// It is carried out, and the process dies.
    DiedAfter,
    /// The provider finds the token wanting.
    Refused,
}

/// Guards outside the core: in how the operator reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    #[default]
    All,
    /// The target is read before the record.
    TargetFirst,
    /// Where there is no record, the object is read again: it is read once in a reconcile, and may have gone with the record since.
    ObjectAgain,
    /// The target is written with the version that was read.
    TargetVersion,
    /// The record is written with the version that was read.
    RecordVersion,
    /// A pod that is terminating is listed.
    CountTerminating,
    /// A pod that was deleted by force counts until its kubelet was in contact.
    Contact,
    /// A create that was not sent soon after its intent is not sent any more.
    CreateSoon,
    /// The token that the provider has is read before another one is made.
    ReadPresent,
    /// A publish that was not sent soon after the look is not sent any more.
    PublishSoon,
    /// A target that carries another object's labels is read as that of somebody else: `classify` in `src/kube_io/target.rs`.
    OwnTarget,
    /// Only tokens with a name of the object's own UID are listed as its own: `Naming::parse` in `src/core/token.rs`, by which
    /// each driver filters its list, as `src/providers/http/operation/list.rs` and `src/providers/kubernetes/bound.rs` do.
    OwnNames,
}

pub struct World {
    pub operator: Operator,
    pub replicas: usize,
    pub grace: bool,
    /// The Secret is one that images are pulled with: no process holds it.
    pub pulls: bool,
    pub ends: Ends,
    /// At whom the last replica looks; all others look at A.
    pub last: Viewer,
    /// The provider may refuse a living token, so that nothing tells it from a dead one.
    pub mutes: bool,
    /// A token is dead when the provider refuses it; without that, when a revoke was sent.
    pub confirms_death: bool,
}

impl World {
    pub(super) fn keeps(&self, habit: Habit) -> bool {
        self.operator.keeps(habit)
    }

    /// At whom a replica looks.
    pub(super) fn viewer(&self, number: usize) -> Viewer {
        if number + 1 == self.replicas { self.last } else { Viewer::Of(Object::A) }
    }

    /// The RotatedTokens of this world.
    pub fn objects(&self) -> &'static [Object] {
        if self.last == Viewer::Of(Object::B) { &Object::ALL } else { &[Object::A] }
    }

    /// Makes `event` happen.
    pub fn happen(&self, state: &mut State, event: Event) {
        match event {
            Event::Advance(replica, fate) => self.advance(state, replica, fate),
            Event::Crash(replica) => {
                state.budget.crashes -= 1;
                self.die(state, replica);
            }
            Event::Land => self.land(state),
            Event::Tick => self.tick(state),
            Event::Start(token) => state.start(token),
            Event::Restart(slot, token) => state.restart(slot, token),
            Event::Terminate(slot) => state.pods[slot].life = Life::Terminating,
            Event::End(slot) => state.end(slot),
            Event::Force(slot) => self.force(state, slot),
            Event::Node(ready) => state.node(ready),
            Event::Rotate(object) => {
                state.budget.rotations -= 1;
                state[object].wish.rotations += 1;
            }
            Event::Delete(object) => {
                state.budget.deletion = None;
                state[object].wish.deleting = true;
                state.wanted = false;
            }
            Event::Scale(up) => {
                state.budget.scale_ups = state.budget.scale_ups.saturating_sub(up.into());
                state.wanted = up;
            }
            Event::Death(token) => {
                state.budget.deaths -= 1;
                state.alive &= !token.bit();
                state.killed |= token.bit();
                bases(state).for_each(|base| base.news = true);
            }
            Event::Mute(token) => {
                state.budget.mutes -= 1;
                state.mute = token.bit();
                bases(state).for_each(|base| base.news = true);
            }
            Event::Speak => state.mute = 0,
            Event::Freeze => state.freeze(),
            Event::DeleteTarget => state.delete_target(),
            Event::Revert(token) => state.revert(token),
            Event::Copy => state.copy_target(),
            Event::DeleteCopy => state.delete_copy(),
            Event::LeaveCopy => state.copy_used = false,
            Event::Backup(of) => (state[of].backup, state.backup_target) = (state[of].record, state.target),
            Event::Restore { of, target } => state.restore(of, target),
            Event::Lose(of) => {
                state.budget.losses -= 1;
                state.go_back(of, RecordId::ABSENT);
            }
            Event::Strip(object) => {
                state.budget.strip = false;
                state[object].wish.exists = false;
            }
        }
        state.note_holders();
    }

    pub(super) fn die(&self, state: &mut State, replica: usize) {
        state.replicas[replica] = Replica { memory: self.operator.blank(), ..Replica::default() };
        state.pods.iter_mut().for_each(|pod| pod.seen &= !(1 << replica));
    }

    fn tick(&self, state: &mut State) {
        for replica in &mut state.replicas[..self.replicas] {
            replica.memory = self.operator.age(replica.memory);
            // What was read, and that a token works, counts for seconds. What is based on it already goes on.
            replica.works = Token::NONE;
            if replica.activity == Activity::Idle {
                replica.wish = None;
            }
        }
        if self.ends == Ends::Expired {
            self.expire(state);
        }
        bases(state).for_each(|base| base.old = true);
        state.muted_for = (state.muted_for + u8::from(state.mute != 0)).min(MUTED_LONG);
        state.readable = [state.target.carries.bit() & !1, state.readable[0]];
        state.held = 0;
        state.end_vanished();
        if self.pulls {
            state.go_on_pulling();
        }
    }
}

/// In ticks, how long a token has to be refused before it can count as dead.
pub(super) const MUTED_LONG: u8 = 2;

pub(super) fn bases(state: &mut State) -> impl Iterator<Item = &mut Base> {
    let late = match &mut state.late {
        Some(Late::Effect { base, .. } | Late::Store { base, .. }) => Some(base),
        Some(Late::Discard { .. }) | None => None,
    };
    let replicas = state.replicas.iter_mut().filter_map(|replica| match &mut replica.activity {
        Activity::Halfway(base)
        | Activity::Asking { base, .. }
        | Activity::Acting { base, .. }
        | Activity::Storing { base, .. } => Some(base),
        Activity::Idle | Activity::Discarding { .. } => None,
    });
    late.into_iter().chain(replicas)
}
