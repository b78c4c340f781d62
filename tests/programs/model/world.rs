//! What happens in the world: how it moves from one state to the next.

use tokenturn::core::step::Change;

use crate::{
    operator::{Effect, Facts, Look, Operator, Ruling},
    scenarios::Ends,
    state::{
        Activity, Answers, Ask, Base, EffectId, Late, Life, Listed, MemoryId, PODS, Pod, PodSeen, RecordId, Replica,
        Seen, StampId, State, Target, Token, Verdict, Wish,
    },
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
    Rotate,
    /// The object is deleted, and its workload scaled to nothing.
    Delete,
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
    /// Somebody copies record and target.
    Backup,
    /// The record is as it was then, and the target if it is restored too. The provider does not go back.
    Restore {
        target: bool,
    },
    /// Somebody deletes the record.
    Lose,
    /// Somebody takes the finalizer off, so that the object goes.
    Strip,
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
}

pub struct World {
    pub operator: Operator,
    pub replicas: usize,
    /// The habit that is taken away.
    pub without: Habit,
    pub grace: bool,
    pub ends: Ends,
    /// The last replica looks at another owner with the same UID.
    pub stranger: bool,
    /// The provider may refuse a living token, so that nothing tells it from a dead one.
    pub mutes: bool,
    /// A token is dead when the provider refuses it; without that, when a revoke was sent.
    pub confirms_death: bool,
}

impl World {
    pub(super) fn keeps(&self, habit: Habit) -> bool {
        self.without != habit
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
            Event::Start(token) => self.start(state, token),
            Event::Restart(slot, token) => {
                state.budget.restarts -= 1;
                state.pods[slot].holds = token;
                self.took(state, token);
            }
            Event::Terminate(slot) => state.pods[slot].life = Life::Terminating,
            Event::End(slot) => end(state, slot),
            Event::Force(slot) => {
                state.budget.forced -= 1;
                state.pods[slot].life = Life::Vanished;
                state.pods[slot].contact = 0;
                let watching = (0..self.replicas).filter(|replica| state.replicas[*replica].watching);
                state.pods[slot].seen = watching.fold(0, |seen, replica| seen | 1 << replica);
            }
            Event::Node(ready) => {
                state.node_ready = ready;
                // Contact counts from when the node is back.
                state.pods.iter_mut().for_each(|pod| pod.contact = 0);
            }
            Event::Rotate => {
                state.budget.rotations -= 1;
                state.wish.rotations += 1;
            }
            Event::Delete => {
                state.budget.deletion = false;
                state.wish.deleting = true;
                state.wish.wanted = false;
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
            Event::Freeze => {
                state.budget.freezes -= 1;
                state.target.immutable = true;
                state.frozen = state.target.carries;
                target_changed(state);
            }
            Event::DeleteTarget => {
                state.budget.deletes -= 1;
                state.target.exists = false;
                state.target.immutable = false;
                state.target.carries = Token::NONE;
                state.target.fence = 0;
                target_changed(state);
            }
            Event::Revert(token) => {
                state.budget.reverts -= 1;
                state.target.carries = token;
                state.readable[0] |= token.bit();
                target_changed(state);
            }
            Event::Backup => (state.backup, state.backup_target) = (state.record, state.target),
            Event::Restore { target } => {
                state.budget.restores -= 1;
                go_back(state, state.backup);
                if target {
                    state.target = state.backup_target;
                    let carried = state.target.carries;
                    state.readable[0] |= carried.bit();
                    // Who restores a Secret with a dead token gives it to the pods.
                    state.killed |= carried.bit() & !state.alive;
                    target_changed(state);
                }
            }
            Event::Lose => {
                state.budget.losses -= 1;
                go_back(state, RecordId::ABSENT);
            }
            Event::Strip => {
                state.budget.strip = false;
                state.wish.exists = false;
            }
        }
        if state.pods.iter().all(|pod| pod.life == Life::None) {
            state.frozen = if state.target.immutable { state.target.carries } else { Token::NONE };
        }
        for pod in state.pods {
            if pod.life != Life::None {
                state.held |= pod.holds.bit();
            }
        }
    }

    pub(super) fn die(&self, state: &mut State, replica: usize) {
        state.replicas[replica] = Replica { memory: self.operator.blank(), ..Replica::default() };
        state.pods.iter_mut().for_each(|pod| pod.seen &= !(1 << replica));
    }

    fn tick(&self, state: &mut State) {
        for replica in &mut state.replicas[..self.replicas] {
            replica.memory = self.operator.age(replica.memory);
        }
        if self.ends == Ends::Expired {
            self.expire(state);
        }
        bases(state).for_each(|base| base.old = true);
        state.muted_for = (state.muted_for + u8::from(state.mute != 0)).min(MUTED_LONG);
        state.readable = [state.target.carries.bit() & !1, state.readable[0]];
        state.held = 0;
        for slot in 0..PODS {
            if state.pods[slot].life == Life::Vanished && state.node_ready {
                // A kubelet that is in contact ends within a tick what the API server no longer has; the operator believes
                // it after two.
                if state.pods[slot].contact > 0 {
                    end(state, slot);
                } else {
                    state.pods[slot].contact = 1;
                    state.pods[slot].holds = Token::NONE;
                }
            }
        }
    }

    /// A pod starts in a free place with a token.
    pub fn start(&self, state: &mut State, token: Token) {
        let Some(slot) = state.pods.iter().position(|pod| pod.life == Life::None) else { return };
        state.budget.starts = state.budget.starts.saturating_sub(1);
        state.pods[slot] = Pod { uid: state.born, life: Life::Running, holds: token, ..Pod::default() };
        state.born += 1;
        self.took(state, token);
    }

    /// A process was given a token by its kubelet.
    fn took(&self, state: &mut State, token: Token) {
        if !state.is_alive(token) && state.killed & token.bit() == 0 {
            state.broke("S1 a pod starts with a token that was revoked");
        }
    }

    fn advance(&self, state: &mut State, number: usize, fate: Fate) {
        if fate == Fate::DiedAfter {
            state.budget.crashes -= 1;
        } else if fate == Fate::Refused {
            state.budget.refusals -= 1;
        } else if fate != Fate::Answered {
            state.budget.lost -= 1;
        }
        let replica = state.replicas[number];
        match replica.activity {
            Activity::Idle => {
                let mut base = Base {
                    target: Target::default(),
                    target_changed: false,
                    record: RecordId::ABSENT,
                    record_changed: false,
                    news: false,
                    old: false,
                    stranger: self.is_stranger(number),
                };
                if self.keeps(Habit::TargetFirst) {
                    base.target = self.target_of(state, number);
                } else {
                    base.record = state.record;
                }
                state.replicas[number].activity = Activity::Halfway(base);
            }
            Activity::Halfway(mut base) => {
                if self.keeps(Habit::TargetFirst) {
                    (base.record, base.record_changed) = (state.record, false);
                } else {
                    (base.target, base.target_changed) = (self.target_of(state, number), false);
                }
                let memory = self.operator.look(replica.memory, base.target, base.record);
                state.replicas[number].memory = memory;
                let facts = self.operator.facts(base.record);
                let under_way = |facts: Facts| facts.begun || !facts.previous.is_none() || state.wish.deleting;
                state.replicas[number].watching = facts.is_some_and(under_way);
                self.decide(state, number, base, memory, Answers::default());
            }
            Activity::Asking { base, wish: _, memory, mut answers, ask } => {
                self.answer(state, number, &mut answers, ask, fate);
                self.decide(state, number, base, memory, answers);
            }
            Activity::Acting { base, effect } => self.act(state, number, base, effect, fate),
            Activity::Storing { token, base } => self.store(state, number, token, base, fate),
            Activity::Discarding { token } => self.discard(state, number, token, fate),
        }
    }

    fn decide(&self, state: &mut State, number: usize, base: Base, frozen: MemoryId, answers: Answers) {
        // The object was read before anything else; a later wish is seen by the next look.
        let wish = match state.replicas[number].activity {
            Activity::Asking { wish, .. } => wish,
            // Of the stranger there is no object.
            _ if base.stranger => Wish::default(),
            _ => state.wish,
        };
        let Replica { memory, watching, .. } = state.replicas[number];
        let Base { target, record, old, stranger, .. } = base;
        let look = Look { frozen, memory, old, stranger, target, record, wish, answers };
        state.replicas[number] = match self.operator.decide(look) {
            Ruling::Ask(ask) => {
                Replica { memory, watching, activity: Activity::Asking { base, wish, memory: frozen, answers, ask } }
            }
            Ruling::Act { effect, memory } => Replica { memory, watching, activity: Activity::Acting { base, effect } },
            Ruling::Rest { memory } => Replica { memory, watching, activity: Activity::Idle },
        };
    }

    fn answer(&self, state: &State, number: usize, answers: &mut Answers, ask: Ask, fate: Fate) {
        match ask {
            Ask::Preflight => answers.preflight = true,
            Ask::Listing => {
                let mut listing = [Token::NONE; 6];
                let listed = state.live_tokens().filter(|token| self.ends == Ends::Revoked && !is_mute(state, *token));
                for (place, token) in listing.iter_mut().zip(listed) {
                    *place = token;
                }
                answers.listing = Some(listing);
            }
            Ask::Verify(token) => {
                let verdict = match (fate, state.is_alive(token) && !is_mute(state, token)) {
                    (Fate::Refused, _) => Verdict::Insufficient,
                    (_, true) if state.wanting & token.bit() != 0 => Verdict::Insufficient,
                    (_, true) => Verdict::Works,
                    (_, false) => Verdict::NotYet,
                };
                answers.verified(token, verdict);
            }
            Ask::Liveness(token) => answers.looked_at(
                token,
                match state.is_alive(token) {
                    true if !is_mute(state, token) => Seen::Alive,
                    _ if self.mutes => Seen::Refused,
                    _ => Seen::Gone,
                },
            ),
            Ask::Consumers => answers.consumers = Some(self.list(state, number)),
        }
    }

    /// Whether the looks of a replica are those at another owner with the same UID.
    fn is_stranger(&self, number: usize) -> bool {
        self.stranger && number + 1 == self.replicas
    }

    /// What a look finds where the target of its owner is: a stranger has a copy with our labels, until nobody uses it any more.
    fn target_of(&self, state: &State, number: usize) -> Target {
        if self.is_stranger(number) { Target::default() } else { state.target }
    }

    fn list(&self, state: &State, number: usize) -> Listed {
        // In the stranger's namespace there is nobody.
        if self.is_stranger(number) {
            let pods = [PodSeen::default(); PODS];
            return Listed { pods, born: 1, stamp: StampId::default(), wanted: false, node_ready: true };
        }
        let mut pods = [PodSeen::default(); PODS];
        for (place, pod) in pods.iter_mut().zip(state.pods) {
            let unseen = match pod.life {
                Life::Terminating => !self.keeps(Habit::CountTerminating),
                Life::Vanished => !self.keeps(Habit::Contact),
                Life::None | Life::Running => false,
            };
            if !unseen {
                let seen = pod.seen & 1 << number != 0;
                *place = PodSeen { uid: pod.uid, life: pod.life, contact: pod.contact, seen };
            }
        }
        Listed { pods, born: state.born, stamp: state.stamp, wanted: state.wish.wanted, node_ready: state.node_ready }
    }

    fn act(&self, state: &mut State, number: usize, base: Base, effect: EffectId, fate: Fate) {
        // What a stranger does to a target or to pods it does to its own.
        let effect_of = self.operator.effect(effect);
        let elsewhere = matches!(
            effect_of,
            Effect::Publish(_) | Effect::Fence(_) | Effect::DeleteTarget | Effect::Stamp(_) | Effect::Release
        );
        if base.stranger && elsewhere {
            state.replicas[number].activity = Activity::Idle;
            return;
        }
        // A publish that was not sent soon is not sent any more.
        let publishes = matches!(self.operator.effect(effect), Effect::Publish(_));
        if base.old && publishes && self.keeps(Habit::PublishSoon) {
            state.replicas[number].activity = Activity::Idle;
            return;
        }
        let memory = self.operator.begin(state.replicas[number].memory, effect);
        (state.replicas[number].memory, state.replicas[number].activity) = (memory, Activity::Idle);
        // A create that was not sent soon is not sent any more.
        if base.old && self.keeps(Habit::CreateSoon) && matches!(self.operator.effect(effect), Effect::Mint { .. }) {
            return;
        }
        if fate == Fate::Late {
            state.late = Some(Late::Effect { base, effect });
            return;
        }
        if fate == Fate::Failed {
            if !self.confirms_death
                && let Effect::Revoke(_) = self.operator.effect(effect)
            {
                state.replicas[number].memory = self.operator.done(memory, effect);
            }
            return;
        }
        let applied = self.apply(state, base, effect);
        match fate {
            Fate::DiedAfter => self.die(state, number),
            Fate::Answered | Fate::Refused if applied => {
                state.replicas[number].memory = self.operator.done(memory, effect);
                if let Effect::Mint { token, .. } = self.operator.effect(effect) {
                    if fate == Fate::Refused {
                        state.wanting |= token.bit();
                    }
                    state.replicas[number].activity = Activity::Storing { token, base };
                }
            }
            _ => {}
        }
    }

    /// Carries out an effect; whether it was.
    fn apply(&self, state: &mut State, base: Base, effect: EffectId) -> bool {
        match self.operator.effect(effect) {
            Effect::Save { next, change } => {
                let before = state.record;
                let saved = self.save(state, base, next);
                if saved {
                    self.look_at_forgotten(state, before, change);
                }
                saved
            }
            Effect::Write { next } => self.save(state, base, next),
            Effect::DropRecord => self.save(state, base, RecordId::ABSENT),
            Effect::Publish(token) => self.publish(state, base, token),
            Effect::Fence(attempt) => {
                let written = self.write_target(state, base, Target { fence: attempt, ..base.target });
                written && base.target.exists
            }
            Effect::DeleteTarget => {
                self.write_target(state, base, Target { exists: false, carries: Token::NONE, fence: 0, ..base.target })
            }
            Effect::Mint { token, replaces } => {
                if self.ends == Ends::Replaced && !replaces.is_none() && !state.is_alive(replaces) {
                    state.broke("S10 a token that was used up is shown for another one");
                }
                self.mint(state, token, replaces);
                true
            }
            Effect::Revoke(token) => {
                if matches!(self.ends, Ends::Expired | Ends::Replaced) {
                    state.broke("S8 a revoke is sent of a token that nothing revokes");
                }
                self.look_at_successor(state, base, token);
                self.revoke(state, token, Some(base.record));
                true
            }
            Effect::Stamp(stamp) => {
                if state.stamp != stamp {
                    let current = self.operator.facts(state.record).map_or(Token::NONE, |facts| facts.current);
                    if !current.is_none() && !state.is_alive(current) && !base.news {
                        state.broke("S2 workloads are rolled onto a dead token");
                    }
                    state.stamp = stamp;
                    state.pods.iter_mut().for_each(|pod| pod.outdated = true);
                }
                true
            }
            Effect::Release => {
                if state.wish.exists && state.live_tokens().next().is_some() {
                    state.broke("S12 the object goes while a token of it is alive");
                }
                state.wish.exists = false;
                true
            }
        }
    }

    pub(super) fn save(&self, state: &mut State, base: Base, next: RecordId) -> bool {
        if base.record_changed && self.keeps(Habit::RecordVersion) {
            return false;
        }
        self.look_at_let_go(state, next);
        state.record = next;
        record_changed(state);
        true
    }

    /// What a call revokes is forgotten only when it is dead, and what is refused for a moment is replaced by nobody.
    fn look_at_forgotten(&self, state: &mut State, before: RecordId, change: Change) {
        let (Some(before), Some(after)) = (self.operator.facts(before), self.operator.facts(state.record)) else {
            return;
        };
        // What nobody knows is told when it is let go.
        let is_told = matches!(change, Change::Unknown(_));
        if self.ends == Ends::Revoked && !is_told && before.known & !after.known & state.alive != 0 {
            state.broke("S4 a living token leaves the record");
        }
        let is_unasked = matches!(change, Change::Intended(_)) && !before.begun && before.seen == after.seen;
        if self.mutes && is_unasked && state.muted_for < MUTED_LONG {
            state.broke("S13 a rotation begins for a refusal of a moment");
        }
    }

    /// What nothing revokes is forgotten only when nobody holds it: nobody would be waited for after that.
    fn look_at_let_go(&self, state: &mut State, next: RecordId) {
        let Some(before) = self.operator.facts(state.record).filter(|_| self.ends == Ends::Expired) else { return };
        let after = self.operator.facts(next).unwrap_or_default();
        let known = [after.current, after.previous, after.pending];
        if !before.previous.is_none() && !known.contains(&before.previous) && state.is_held(before.previous) {
            state.broke("S1 a token is let go while a pod holds it");
        }
    }

    /// Tokens expire, but none that is still of use: they live longer than a rotation takes.
    fn expire(&self, state: &mut State) {
        let facts = self.operator.facts(state.record).unwrap_or_default();
        let leaves = state.wish.deleting || !state.wish.exists;
        let in_hand = |token: &Token| {
            let of =
                |replica: &Replica| matches!(replica.activity, Activity::Storing { token: held, .. } if held == *token);
            state.replicas.iter().any(of)
                || matches!(state.late, Some(Late::Store { token: held, .. }) if held == *token)
        };
        let useful = |token: &Token| {
            let known = [facts.current, facts.pending].contains(token) && !leaves;
            known || *token == state.target.carries || state.is_held(*token) || in_hand(token)
        };
        let ended: Vec<Token> = state.live_tokens().filter(|token| !useful(token)).collect();
        for token in ended {
            state.alive &= !token.bit();
            state.killed |= token.bit();
        }
    }

    fn write_target(&self, state: &mut State, base: Base, next: Target) -> bool {
        if base.target_changed && self.keeps(Habit::TargetVersion) {
            return false;
        }
        if state.target.immutable && next.exists && next.carries != state.target.carries {
            return false;
        }
        state.target = next;
        target_changed(state);
        true
    }

    fn publish(&self, state: &mut State, base: Base, token: Token) -> bool {
        let uid = if state.target.exists { state.target.uid } else { state.target.uid + 1 };
        let next = Target { exists: true, carries: token, fence: 0, uid, immutable: state.target.immutable };
        if !self.write_target(state, base, next) {
            return false;
        }
        let first = state.published & token.bit() == 0;
        state.published |= token.bit();
        state.readable[0] |= token.bit();
        if !state.is_alive(token) && !base.news && (first || state.killed & token.bit() == 0) {
            state.broke("S2 a dead token is published");
        }
        if first && state.wanting & token.bit() != 0 {
            state.broke("S2 a token that may do too little is published");
        }
        if token.sequence() < state.newest {
            state.broke("S6 the sequence of the target goes back");
        }
        state.newest = state.newest.max(token.sequence());
        let rival = |other: &Token| other.sequence() == token.sequence() && *other != token;
        if state.created.iter().any(|other| rival(other) && state.published & other.bit() != 0) {
            state.broke("S5 two attempts of one sequence reach the target");
        }
        true
    }

    fn land(&self, state: &mut State) {
        match state.late.take() {
            None => {}
            Some(Late::Effect { base, effect }) => {
                self.apply(state, base, effect);
            }
            Some(Late::Store { base, token }) => {
                self.save(state, base, self.operator.store(base.record, token));
            }
            Some(Late::Discard { .. }) if self.ends != Ends::Revoked => {}
            Some(Late::Discard { token }) => self.revoke(state, token, None),
        }
    }
}

/// In ticks, how long a token has to be refused before it can count as dead.
const MUTED_LONG: u8 = 2;

fn is_mute(state: &State, token: Token) -> bool {
    state.mute & token.bit() != 0
}

fn end(state: &mut State, slot: usize) {
    state.pods[slot] = Pod::default();
}

/// Everybody who has read the target or the record holds an old version now.
fn target_changed(state: &mut State) {
    bases(state).for_each(|base| base.target_changed = true);
}

fn go_back(state: &mut State, record: RecordId) {
    state.record = record;
    state.went_back = true;
    record_changed(state);
}

fn record_changed(state: &mut State) {
    bases(state).for_each(|base| base.record_changed = true);
}

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
