//! What can happen in a state.

use crate::{
    model::TokenModel,
    operator::Effect,
    state::{Activity, Ask, Life, Own, PODS, Pod, RecordId, State},
    token::{Object, Token},
    world::{Event, Fate},
};

impl TokenModel {
    pub(super) fn actions_of(&self, state: &State, number: usize, events: &mut Vec<Event>) {
        let replica = &state.replicas[number];
        events.push(Event::Advance(number, Fate::Answered));
        let crashes = state.budget.crashes > 0;
        if crashes && (replica.activity != Activity::Idle || replica.memory != self.world.operator.blank()) {
            events.push(Event::Crash(number));
        }
        let acts = match replica.activity {
            Activity::Idle | Activity::Halfway(_) => false,
            Activity::Asking { ask, .. } => {
                if let Ask::Verify(token) = ask
                    && state.budget.refusals > 0
                    && state.is_alive(token)
                {
                    events.push(Event::Advance(number, Fate::Refused));
                }
                false
            }
            Activity::Acting { .. } | Activity::Storing { .. } | Activity::Discarding { .. } => true,
        };
        if state.budget.refusals > 0 && self.is_create(&replica.activity) {
            events.push(Event::Advance(number, Fate::Refused));
        }
        if acts && crashes {
            events.push(Event::Advance(number, Fate::DiedAfter));
        }
        if acts && state.budget.lost > 0 {
            events.push(Event::Advance(number, Fate::ReplyLost));
            events.push(Event::Advance(number, Fate::Failed));
            if state.late.is_none() && self.scenario.late && !self.is_create(&replica.activity) {
                events.push(Event::Advance(number, Fate::Late));
            }
        }
    }

    /// A create that arrives after everybody has looked for it cannot be told from one that never will, see docs/guarantees.md.
    fn is_create(&self, activity: &Activity) -> bool {
        matches!(activity, Activity::Acting { effect, .. } if matches!(self.world.operator.effect(*effect), Effect::Mint { .. }))
    }

    /// What people do about an object, its record and its tokens.
    pub(super) fn people(&self, state: &State, of: Object, events: &mut Vec<Event>) {
        let budget = &state.budget;
        let Own { wish, record, backup, .. } = state[of];
        let facts = self.world.operator.facts(record);
        // One that has nothing yet is deleted only where another one keeps it waiting.
        if budget.deletion == Some(of) && wish.exists && (facts.is_some() || self.world.objects().len() > 1) {
            events.push(Event::Delete(of));
        }
        let Some(facts) = facts else { return };
        if budget.rotations > 0 && wish.exists && !wish.deleting && !facts.current.is_none() {
            events.push(Event::Rotate(of));
        }
        if budget.deaths > 0 {
            let tokens = [facts.current, facts.pending].into_iter();
            events.extend(tokens.filter(|token| !token.is_none() && state.is_alive(*token)).map(Event::Death));
        }
        if budget.mutes > 0 {
            let tokens = [facts.current, facts.previous, facts.pending].into_iter();
            events.extend(tokens.filter(|token| !token.is_none() && state.is_alive(*token)).map(Event::Mute));
        }
        if budget.restores > 0 && is_quiet(state) {
            if backup != record && backup == RecordId::ABSENT {
                events.push(Event::Backup(of));
            }
            if backup != RecordId::ABSENT && backup != record {
                events.push(Event::Restore { of, target: self.scenario.restores_target });
            }
        }
        if budget.losses > 0 && is_quiet(state) {
            events.push(Event::Lose(of));
        }
        if budget.strip && wish.exists && wish.deleting {
            events.push(Event::Strip(of));
        }
    }

    /// What people do to the Secret and to those who use it.
    pub(super) fn targets(&self, state: &State, events: &mut Vec<Event>) {
        let budget = &state.budget;
        if state.own.iter().all(|own| own.record == RecordId::ABSENT) {
            return;
        }
        if state.mute != 0 {
            events.push(Event::Speak);
        }
        if budget.freezes > 0 && state.target.exists && !state.target.immutable {
            events.push(Event::Freeze);
        }
        // Before somebody deletes what is immutable, every process has looked at it.
        let facts = self.world.operator.facts(state[state.target.of].record);
        let noted = !state.target.immutable || facts.is_some_and(|facts| facts.was_immutable);
        if budget.deletes > 0 && state.target.exists && noted {
            events.push(Event::DeleteTarget);
        }
        if budget.reverts > 0 && is_quiet(state) && state.target.exists {
            let older = |token: &Token| *token != state.target.carries && state.published & token.bit() != 0;
            events.extend(state.live_tokens().filter(older).map(Event::Revert));
        }
        if budget.scale_ups > 0 && !state.wanted {
            events.push(Event::Scale(true));
        }
        if budget.copies > 0 && state.target.exists {
            events.push(Event::Copy);
        }
        if state.copy.exists {
            events.push(Event::DeleteCopy);
        }
        if state.copy_used {
            events.push(Event::LeaveCopy);
        }
    }

    pub(super) fn pods(&self, state: &State, events: &mut Vec<Event>) {
        let readable: Vec<Token> = {
            let set = state.readable[0] | state.readable[1] | state.was_immutable.bit();
            state.created.iter().copied().filter(|token| !token.is_none() && set & token.bit() != 0).collect()
        };
        if state.budget.starts > 0 && state.wanted && state.pods.iter().any(|pod| pod.life == Life::None) {
            events.extend(readable.iter().map(|token| Event::Start(*token)));
        }
        for slot in 0..PODS {
            let pod = state.pods[slot];
            match pod.life {
                Life::Running => events.push(Event::Terminate(slot)),
                Life::Terminating => events.push(Event::End(slot)),
                Life::None | Life::Vanished => {}
            }
            if pod.life == Life::Running && state.budget.restarts > 0 {
                let other = readable.iter().filter(|token| **token != pod.holds);
                events.extend(other.map(|token| Event::Restart(slot, *token)));
            }
            // A pod that vanished from a silent node before anybody watched is in no list: nobody can know of it.
            let watched = state.replicas[..self.scenario.replicas].iter().all(|replica| replica.watching);
            if matches!(pod.life, Life::Running | Life::Terminating)
                && state.budget.forced > 0
                && (state.node_ready || watched)
            {
                events.push(Event::Force(slot));
            }
        }
        let everybody = (1 << self.scenario.replicas) - 1;
        let unseen = |pod: &Pod| pod.life == Life::Vanished && pod.seen != everybody;
        if self.scenario.node_fails && !(state.node_ready && state.pods.iter().any(unseen)) {
            events.push(Event::Node(!state.node_ready));
        }
    }
}

/// What is written between the last look and the revoke nobody can see in time.
fn is_quiet(state: &State) -> bool {
    state.late.is_none() && state.replicas.iter().all(|replica| replica.activity == Activity::Idle)
}
