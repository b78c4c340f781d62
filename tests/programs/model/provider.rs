//! What becomes of tokens: how the provider makes and ends them, and what an operator does with one that it holds.

use crate::{
    scenarios::Ends,
    state::{Activity, Base, Late, Life, Own, RecordId, Replica, State},
    token::Token,
    world::{Fate, Habit, World, bases},
};

impl World {
    pub(super) fn mint(&self, state: &mut State, token: Token, replaces: Token) {
        let Own { record, went_back, .. } = state[token.object()];
        let facts = self.operator.facts(record);
        let Some(place) = token.place().map(|place| &mut state.created[place]) else {
            state.broke("L1-L3 attempts without end");
            return;
        };
        // The record may have gone back: then the number of an attempt comes again, and its old token was swept before.
        let again = !place.is_none() && (!went_back || state.alive & token.bit() != 0);
        *place = token;
        match self.ends {
            Ends::Revoked | Ends::Expired => {}
            Ends::Replaced => {
                // It ends all others, which is what the provider does and not ours to answer for.
                state.killed |= state.alive;
                state.alive = 0;
                bases(state).for_each(|base| base.news = true);
            }
            Ends::Displaced => self.displace(state, token, replaces),
        }
        state.alive |= token.bit();
        if again {
            state.broke("S10 two creates for one attempt");
        }
        if facts.is_some_and(|facts| facts.counter < token.attempt()) {
            state.broke("S10 a create whose intent is not committed");
        }
    }

    /// The token in place is taken if it is another one than the one to be replaced; else a new one takes its place, and what was kept before
    /// ends.
    fn displace(&self, state: &mut State, token: Token, replaces: Token) {
        // A first token has nothing that it could be compared with; a later attempt at it takes what is there.
        let is_other = if replaces.is_none() { token.attempt() > 1 } else { state.present & replaces.bit() == 0 };
        if is_other && self.keeps(Habit::ReadPresent) {
            state.present |= token.bit();
            return;
        }
        let ended = state.former & state.alive;
        let is_ended = |held: Token| held.bit() & ended != 0;
        if state.pods.iter().any(|pod| pod.life != Life::None && is_ended(pod.holds)) {
            state.broke("S1 a create ends a token that a pod holds");
        }
        if is_ended(state.target.carries) {
            state.broke("S2 a create ends the token that the target carries");
        }
        state.alive &= !ended;
        (state.former, state.present) = (state.present, token.bit());
    }

    /// The old token goes only while the new one works.
    pub(super) fn look_at_successor(&self, state: &mut State, base: Base, token: Token) {
        let Some(facts) = self.operator.facts(state[token.object()].record) else { return };
        if facts.previous == token && !facts.retiring && !state.is_alive(facts.current) && !base.news {
            state.broke("S2 the old token is revoked while the new one is dead");
        }
    }

    /// Tokens expire, but none that is still of use: they live longer than a rotation takes.
    pub(super) fn expire(&self, state: &mut State) {
        let in_hand = |token: &Token| {
            let of =
                |replica: &Replica| matches!(replica.activity, Activity::Storing { token: held, .. } if held == *token);
            state.replicas.iter().any(of)
                || matches!(state.late, Some(Late::Store { token: held, .. }) if held == *token)
        };
        let useful = |token: &Token| {
            let Own { wish, record, .. } = state[token.object()];
            let facts = self.operator.facts(record).unwrap_or_default();
            let leaves = wish.deleting || !wish.exists;
            let known = [facts.current, facts.pending].contains(token) && !leaves;
            known || *token == state.target.carries || state.is_held(*token) || in_hand(token)
        };
        let ended: Vec<Token> = state.live_tokens().filter(|token| !useful(token)).collect();
        for token in ended {
            state.alive &= !token.bit();
            state.killed |= token.bit();
        }
    }

    /// Revokes a token on the word of the record that was read. Without one, it is in no record, and only the replica that
    /// minted it knows it.
    pub(super) fn revoke(&self, state: &mut State, token: Token, read: Option<RecordId>) {
        // What has no successor at the provider is not ended by the call.
        if !state.is_alive(token) || (self.ends == Ends::Displaced && state.former & token.bit() == 0) {
            return;
        }
        state.alive &= if self.ends == Ends::Displaced { !state.former } else { !token.bit() };
        if state.is_held(token) {
            state.broke("S1 a token is revoked while a pod holds it");
        }
        if state.target.carries == token {
            state.broke("S2 the token that the target carries is revoked");
        }
        let Some(facts) = self.operator.facts(state[token.object()].record) else { return };
        if !facts.retiring && (facts.current == token || facts.pending == token) {
            state.broke("S8 a token that the record calls current or pending is revoked");
        }
        if facts.counter < token.attempt() {
            state.broke("S8 a token of an attempt ahead of the record is revoked");
        }
        let Some(read) = read.and_then(|read| self.operator.facts(read)) else { return };
        if state.published & token.bit() == 0 {
            return;
        }
        // A token of a past that the record has lost goes when its successors' evidence has shown that no pod of then is left.
        let forgotten =
            state[token.object()].went_back && ![facts.current, facts.previous, facts.pending].contains(&token);
        let committed = read.retiring || (read.previous == token && read.revoking);
        if !committed && !forgotten {
            state.broke("S9 a published token is revoked without committed evidence");
        }
        if self.grace && !facts.retiring && state.held & token.bit() != 0 {
            state.broke("S14 a token is revoked before its grace period is served");
        }
    }

    /// The second half of a mint: the store, tried again until it is known how it ended.
    pub(super) fn store(&self, state: &mut State, number: usize, token: Token, base: Base, fate: Fate) {
        if fate == Fate::Failed {
            return;
        }
        if fate == Fate::Late {
            state.late = Some(Late::Store { base, token });
            return;
        }
        let stored = self.save(state, base, self.operator.store(base.record, token));
        let known = self
            .operator
            .noted(state[token.object()].record)
            .is_some_and(|noted| noted.record.ledger.tokens().any(|known| known.serial == token.serial()));
        state.replicas[number].activity = match fate {
            // The next try finds a conflict and looks what is there.
            Fate::ReplyLost => Activity::Storing { token, base: Base { record_changed: true, ..base } },
            _ if stored || known => Activity::Idle,
            _ => Activity::Discarding { token },
        };
        if fate == Fate::DiedAfter {
            self.die(state, number);
        }
    }

    pub(super) fn discard(&self, state: &mut State, number: usize, token: Token, fate: Fate) {
        match fate {
            Fate::Failed => return,
            Fate::Late => {
                state.late = Some(Late::Discard { token });
                return;
            }
            // There is nothing to send.
            _ if self.ends != Ends::Revoked => {}
            _ => self.revoke(state, token, None),
        }
        if fate != Fate::ReplyLost {
            state.replicas[number].activity = Activity::Idle;
        }
        if fate == Fate::DiedAfter {
            self.die(state, number);
        }
    }
}
