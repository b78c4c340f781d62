//! What the effects of a replica do to the world, and which promises they could break.

use tokenturn::core::step::Change;

use crate::{
    operator::Effect,
    scenarios::Ends,
    state::{Base, EffectId, Late, RecordId, State, Target},
    token::{Object, Token, Viewer},
    world::{Habit, MUTED_LONG, World},
};

impl World {
    /// Carries out an effect; whether it was.
    pub(super) fn apply(&self, state: &mut State, base: Base, effect: EffectId) -> bool {
        let object = base.viewer.object();
        match self.operator.effect(effect) {
            Effect::Save { next, change } => {
                let before = state[object].record;
                let saved = self.save(state, base, next);
                if saved {
                    self.look_at_forgotten(state, object, before, change);
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
            Effect::DeleteTarget => self.write_target(state, base, base.target.deleted()),
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
                if token.object() != object {
                    state.broke("S8 a token of another object is revoked");
                }
                self.look_at_successor(state, base, token);
                self.revoke(state, token, Some(base.record));
                true
            }
            Effect::Stamp(stamp) => {
                if state.stamp != stamp {
                    let current = self.operator.facts(state[object].record).map_or(Token::NONE, |facts| facts.current);
                    if !current.is_none() && !state.is_alive(current) && !base.news {
                        state.broke("S2 workloads are rolled onto a dead token");
                    }
                    state.stamp = stamp;
                    state.pods.iter_mut().for_each(|pod| pod.outdated = true);
                }
                true
            }
            Effect::Release => {
                if state[object].wish.exists && state.live_tokens_of(object).next().is_some() {
                    state.broke("S12 the object goes while a token of it is alive");
                }
                state[object].wish.exists = false;
                true
            }
        }
    }

    pub(super) fn save(&self, state: &mut State, base: Base, next: RecordId) -> bool {
        if base.record_changed && self.keeps(Habit::RecordVersion) {
            return false;
        }
        let object = base.viewer.object();
        self.look_at_let_go(state, object, next);
        state[object].record = next;
        state.record_changed(object);
        true
    }

    /// What a call revokes is forgotten only when it is dead, and what is refused for a moment is replaced by nobody.
    fn look_at_forgotten(&self, state: &mut State, of: Object, before: RecordId, change: Change) {
        let after = self.operator.facts(state[of].record);
        let (Some(before), Some(after)) = (self.operator.facts(before), after) else { return };
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
    fn look_at_let_go(&self, state: &mut State, of: Object, next: RecordId) {
        let Some(before) = self.operator.facts(state[of].record).filter(|_| self.ends == Ends::Expired) else { return };
        let after = self.operator.facts(next).unwrap_or_default();
        let known = [after.current, after.previous, after.pending];
        if !before.previous.is_none() && !known.contains(&before.previous) && state.is_held(before.previous) {
            state.broke("S1 a token is let go while a pod holds it");
        }
    }

    fn write_target(&self, state: &mut State, base: Base, next: Target) -> bool {
        if base.target_changed && self.keeps(Habit::TargetVersion) {
            return false;
        }
        let target = state.target_of(base.viewer);
        if target.immutable && next.exists && next.carries != target.carries {
            return false;
        }
        if base.viewer == Viewer::Stranger {
            state.copy = next;
            state.copy_changed();
            return true;
        }
        if target.exists && target.of != base.viewer.object() {
            state.broke("S11 the Secret of another object is written");
        }
        state.target = next;
        state.target_changed();
        true
    }

    fn publish(&self, state: &mut State, base: Base, token: Token) -> bool {
        let Target { exists, uid, immutable, .. } = state.target_of(base.viewer);
        let uid = if exists { uid } else { uid + 1 };
        let next = Target { exists: true, of: token.object(), carries: token, fence: 0, uid, immutable };
        if !self.write_target(state, base, next) {
            return false;
        }
        if base.viewer == Viewer::Stranger {
            return true;
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
        let newest = &mut state[token.object()].newest;
        let goes_back = token.sequence() < *newest;
        *newest = token.sequence().max(*newest);
        if goes_back {
            state.broke("S6 the sequence of the target goes back");
        }
        let is_rival =
            |other: &Token| other.object() == token.object() && other.sequence() == token.sequence() && *other != token;
        if state.created.iter().any(|other| is_rival(other) && state.published & other.bit() != 0) {
            state.broke("S5 two attempts of one sequence reach the target");
        }
        true
    }

    pub(super) fn land(&self, state: &mut State) {
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
