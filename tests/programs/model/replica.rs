//! How a replica reads, decides and acts, step by step.

use crate::{
    facts::Facts,
    operator::{Effect, Look, Ruling},
    scenarios::Ends,
    state::{
        Activity, Answers, Ask, Base, EffectId, Late, MemoryId, RecordId, Replica, Seen, State, Target, Verdict, Wish,
    },
    token::{Token, Viewer},
    world::{Fate, Habit, World},
};

impl World {
    pub(super) fn advance(&self, state: &mut State, number: usize, fate: Fate) {
        if fate == Fate::DiedAfter {
            state.budget.crashes -= 1;
        } else if fate == Fate::Refused {
            state.budget.refusals -= 1;
        } else if fate != Fate::Answered {
            state.budget.lost -= 1;
        }
        let replica = state.replicas[number];
        let viewer = self.viewer(number);
        let object = viewer.object();
        match replica.activity {
            Activity::Idle => {
                let mut base = Base {
                    target: Target::default(),
                    target_changed: false,
                    record: RecordId::ABSENT,
                    record_changed: false,
                    // Of a token that was verified and has ended since, the reconcile does not know either.
                    news: !replica.works.is_none() && (!state.is_alive(replica.works) || is_mute(state, replica.works)),
                    old: false,
                    viewer,
                };
                // Before target and record, and not again before the reconcile is over. Of the stranger there is no object.
                let read = if viewer == Viewer::Stranger { Wish::default() } else { state[object].wish };
                state.replicas[number].wish.get_or_insert(read);
                if self.keeps(Habit::TargetFirst) {
                    base.target = state.target_of(viewer);
                } else {
                    base.record = state[object].record;
                }
                state.replicas[number].activity = Activity::Halfway(base);
            }
            Activity::Halfway(mut base) => {
                if self.keeps(Habit::TargetFirst) {
                    (base.record, base.record_changed) = (state[object].record, false);
                } else {
                    (base.target, base.target_changed) = (state.target_of(viewer), false);
                }
                // Where there is no record, the object may have gone with it since it was read: it is read again.
                if base.record == RecordId::ABSENT && viewer != Viewer::Stranger && self.keeps(Habit::ObjectAgain) {
                    state.replicas[number].wish = Some(state[object].wish);
                }
                let memory = self.operator.look(replica.memory, viewer, base.target, base.record);
                state.replicas[number].memory = memory;
                let facts = self.operator.facts(base.record);
                let deleting = state.replicas[number].wish.is_some_and(|wish| wish.deleting);
                let under_way = |facts: Facts| facts.begun || !facts.previous.is_none() || deleting;
                state.replicas[number].watching = facts.is_some_and(under_way);
                self.decide(state, number, base, memory, Answers::default());
            }
            Activity::Asking { base, memory, mut answers, ask } => {
                self.answer(state, number, &mut answers, ask, fate);
                if let Ask::Verify(token) = ask
                    && answers.verified.contains(&(token, Verdict::Works))
                {
                    state.replicas[number].works = token;
                }
                self.decide(state, number, base, memory, answers);
            }
            Activity::Acting { base, effect } => self.act(state, number, base, effect, fate),
            Activity::Storing { token, base } => self.store(state, number, token, base, fate),
            Activity::Discarding { token } => self.discard(state, number, token, fate),
        }
    }

    fn decide(&self, state: &mut State, number: usize, base: Base, was_immutable: MemoryId, answers: Answers) {
        let Replica { memory, watching, wish, works, .. } = state.replicas[number];
        let read = wish.expect("the object was read first");
        let Base { target, record, old, viewer, .. } = base;
        let mut answers = answers;
        let ruling = loop {
            let look = Look { was_immutable, memory, old, viewer, target, record, wish: read, answers };
            match self.operator.decide(look) {
                // Asked a moment ago in this reconcile.
                Ruling::Ask(Ask::Verify(token)) if token == works => answers.verified(token, Verdict::Works),
                ruling => break ruling,
            }
        };
        let (memory, activity) = match ruling {
            Ruling::Ask(ask) => (memory, Activity::Asking { base, memory: was_immutable, answers, ask }),
            Ruling::Act { effect, memory } => (memory, Activity::Acting { base, effect }),
            Ruling::Rest { memory } => (memory, Activity::Idle),
        };
        let rests = activity == Activity::Idle;
        state.replicas[number] = Replica {
            memory,
            watching,
            wish: wish.filter(|_| !rests),
            works: if rests { Token::NONE } else { works },
            activity,
        };
    }

    fn answer(&self, state: &State, number: usize, answers: &mut Answers, ask: Ask, fate: Fate) {
        match ask {
            Ask::Preflight => answers.preflight = true,
            Ask::Listing => {
                let mut listing = [Token::NONE; 6];
                let object = self.viewer(number).object();
                let is_read_as_own = |token: &Token| token.object() == object || !self.keeps(Habit::OwnNames);
                let is_shown = |token: &Token| self.ends == Ends::Revoked && !is_mute(state, *token);
                let listed = state.live_tokens().filter(|token| is_read_as_own(token) && is_shown(token));
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

    fn act(&self, state: &mut State, number: usize, base: Base, effect: EffectId, fate: Fate) {
        // A step that had its effect is followed by another one of the same reconcile. Any other ends it.
        let wish = state.replicas[number].wish.take();
        let works = std::mem::take(&mut state.replicas[number].works);
        // What a stranger does to pods it does to its own, and of an object it has none.
        let elsewhere = matches!(self.operator.effect(effect), Effect::Stamp(_) | Effect::Release);
        if base.viewer == Viewer::Stranger && elsewhere {
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
                // A revoke is followed by a verification of what is left.
                let keeps = !matches!(self.operator.effect(effect), Effect::Revoke(_) | Effect::Release);
                state.replicas[number].works = if keeps { works } else { Token::NONE };
                // What changes the object is followed by another read of it.
                state.replicas[number].wish = wish.filter(|_| !matches!(self.operator.effect(effect), Effect::Release));
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
}

fn is_mute(state: &State, token: Token) -> bool {
    state.mute & token.bit() != 0
}
