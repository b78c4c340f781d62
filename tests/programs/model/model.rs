//! The state space: what can happen in each state, and which promises are looked at.

use stateright::{Model, Property};

use crate::{
    calm::Calm,
    operator::Effect,
    scenarios::{Begins, Ends, Scenario},
    state::{
        ATTEMPTS, Activity, Ask, Late, Life, PODS, Pod, REPLICAS, RecordId, Replica, StampId, State, Target, Token,
        Wish,
    },
    world::{Event, Fate, World},
};

/// More ticks than a first issue takes; without a guard it may never end.
const TICKS: usize = 10;
/// Passes between two ticks: more than there are from an intent to its create.
const PASSES: usize = 6;

/// The property that calm weather leads to rest.
pub const CALM: &str = "L1-L3";

pub struct TokenModel {
    pub world: World,
    pub scenario: Scenario,
    pub calm: Calm,
}

impl Model for TokenModel {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let blank = Replica { memory: self.world.operator.blank(), ..Replica::default() };
        let mut replicas = [Replica::default(); REPLICAS];
        replicas[..self.scenario.replicas].fill(blank);
        let state = State {
            wish: Wish { exists: true, deleting: false, rotations: 0, wanted: true },
            target: Target::default(),
            record: RecordId::ABSENT,
            backup: RecordId::ABSENT,
            backup_target: Target::default(),
            went_back: false,
            created: [Token::NONE; ATTEMPTS],
            alive: 0,
            present: 0,
            former: 0,
            published: 0,
            killed: 0,
            mute: 0,
            muted_for: 0,
            wanting: 0,
            frozen: Token::NONE,
            readable: [0; 2],
            held: 0,
            pods: Default::default(),
            born: 1,
            node_ready: true,
            stamp: StampId::default(),
            replicas,
            late: None,
            budget: self.scenario.budget,
            newest: 0,
            broken: None,
        };
        vec![match self.scenario.begins {
            Begins::Blank => state,
            Begins::Issued => self.issued(state),
            Begins::Pending => self.pending(state),
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.broken.is_some() {
            return;
        }
        for replica in 0..self.scenario.replicas {
            self.actions_of(state, replica, events);
        }
        if state.late.is_some() {
            events.push(Event::Land);
        }
        events.push(Event::Tick);
        self.pods(state, events);
        self.people(state, events);
    }

    fn next_state(&self, last: &State, event: Event) -> Option<State> {
        let mut state = last.clone();
        self.world.happen(&mut state, event);
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.world.operator.facts(state.record).is_none_or(|facts| facts.counter <= self.scenario.attempts)
            && state.created[usize::from(self.scenario.attempts) + 1].is_none()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! kept {
            ($name:literal) => {
                Property::always($name, |_, state: &State| {
                    state.broken.is_none_or(|broken| !broken.starts_with(concat!($name, " ")))
                })
            };
        }
        vec![
            kept!("S1"),
            kept!("S2"),
            Property::always("S3", |model: &Self, state| model.few_live(state)),
            Property::always("S4", |model: &Self, state| model.none_forgotten(state)),
            kept!("S5"),
            kept!("S6"),
            kept!("S8"),
            kept!("S9"),
            kept!("S10"),
            kept!("S12"),
            kept!("S13"),
            kept!("S14"),
            Property::always(CALM, |model: &Self, state| model.calm.comes_to_rest(&model.world, state)),
        ]
    }
}

impl TokenModel {
    /// The first token is issued, by one replica in calm weather; what is interesting begins then.
    fn issued(&self, mut state: State) -> State {
        let budget = std::mem::take(&mut state.budget);
        let replicas = state.replicas;
        for _ in 0..TICKS {
            for _ in 0..PASSES {
                crate::calm::pass_of_one(&self.world, &mut state);
            }
            self.world.happen(&mut state, Event::Tick);
        }
        for _ in 0..self.scenario.pods {
            let token = state.target.carries;
            self.world.start(&mut state, token);
        }
        for _ in 0..4 {
            self.world.happen(&mut state, Event::Tick);
        }
        State { replicas, budget, ..state }
    }

    /// A rotation has come to its pending token, and the processes are new.
    fn pending(&self, state: State) -> State {
        let mut state = self.issued(state);
        let budget = std::mem::take(&mut state.budget);
        let replicas = state.replicas;
        state.wish.rotations += 1;
        for _ in 0..PASSES {
            if self.world.operator.facts(state.record).is_some_and(|facts| !facts.pending.is_none()) {
                break;
            }
            crate::calm::pass_of_one(&self.world, &mut state);
        }
        State { replicas, budget, ..state }
    }

    fn actions_of(&self, state: &State, number: usize, events: &mut Vec<Event>) {
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

    fn people(&self, state: &State, events: &mut Vec<Event>) {
        let budget = &state.budget;
        let Some(facts) = self.world.operator.facts(state.record) else { return };
        let wish = state.wish;
        if budget.rotations > 0 && wish.exists && !wish.deleting && !facts.current.is_none() {
            events.push(Event::Rotate);
        }
        if budget.deletion && wish.exists {
            events.push(Event::Delete);
        }
        if budget.deaths > 0 {
            let tokens = [facts.current, facts.pending].into_iter();
            events.extend(tokens.filter(|token| !token.is_none() && state.is_alive(*token)).map(Event::Death));
        }
        if budget.mutes > 0 {
            let tokens = [facts.current, facts.previous, facts.pending].into_iter();
            events.extend(tokens.filter(|token| !token.is_none() && state.is_alive(*token)).map(Event::Mute));
        }
        if state.mute != 0 {
            events.push(Event::Speak);
        }
        if budget.freezes > 0 && state.target.exists && !state.target.immutable {
            events.push(Event::Freeze);
        }
        // Before somebody deletes what is immutable, every process has looked at it.
        let noted = !state.target.immutable || facts.frozen;
        if budget.deletes > 0 && state.target.exists && noted {
            events.push(Event::DeleteTarget);
        }
        // What is written between the last look and the revoke nobody can see in time.
        let quiet = state.late.is_none() && state.replicas.iter().all(|replica| replica.activity == Activity::Idle);
        if budget.reverts > 0 && quiet && state.target.exists {
            let older = |token: &Token| *token != state.target.carries && state.published & token.bit() != 0;
            events.extend(state.live_tokens().filter(older).map(Event::Revert));
        }
        if budget.restores > 0 && quiet {
            if state.backup != state.record && state.backup == RecordId::ABSENT {
                events.push(Event::Backup);
            }
            if state.backup != RecordId::ABSENT && state.backup != state.record {
                events.push(Event::Restore { target: self.scenario.restores_target });
            }
        }
        if budget.losses > 0 && quiet {
            events.push(Event::Lose);
        }
        if budget.strip && wish.exists && wish.deleting {
            events.push(Event::Strip);
        }
    }

    /// An event with what it carries out or answers.
    pub fn told(&self, before: &State, event: Event) -> String {
        let of = match event {
            Event::Advance(replica, _) => match before.replicas[replica].activity {
                Activity::Idle => "looks at the target".to_owned(),
                Activity::Halfway(_) => "looks at the record".to_owned(),
                Activity::Asking { ask, .. } => format!("asks for {ask:?}"),
                Activity::Acting { effect, .. } => self.told_effect(self.world.operator.effect(effect)),
                Activity::Storing { token, .. } => format!("stores {token:?}"),
                Activity::Discarding { token } => format!("revokes its own {token:?}"),
            },
            Event::Land => match before.late {
                Some(Late::Effect { effect, .. }) => self.told_effect(self.world.operator.effect(effect)),
                Some(Late::Store { token, .. }) => format!("stores {token:?}"),
                Some(Late::Discard { token }) => format!("revokes its own {token:?}"),
                None => String::new(),
            },
            _ => String::new(),
        };
        format!("{event:?} {of}").trim_end().to_owned()
    }

    fn told_effect(&self, effect: Effect) -> String {
        match effect {
            Effect::Save { next, change } => format!("saves {change:?}: {:?}", self.world.operator.facts(next)),
            Effect::Write { next } => format!("writes the record anew: {:?}", self.world.operator.facts(next)),
            other => format!("{other:?}"),
        }
    }

    /// S3: two tokens, and one for each attempt that was begun since, or that a replica has still in hand. What is alive from
    /// before a record that was lost comes on top, see docs/guarantees.md.
    ///
    /// What nothing revokes lives until it expires, and where one displaces another the provider has two at most.
    fn few_live(&self, state: &State) -> bool {
        if matches!(self.scenario.ends, Ends::Expired | Ends::Displaced) {
            return true;
        }
        let Some(facts) = self.world.operator.facts(state.record) else { return true };
        let known = [facts.current, facts.previous];
        let unknown = |token: &Token| token.attempt() <= facts.unknown_until && !known.contains(token);
        let unknown = state.live_tokens().filter(unknown).count();
        let begun = u32::from(facts.counter.saturating_sub(facts.current.attempt()));
        let in_hand = state
            .replicas
            .iter()
            .filter(|replica| matches!(replica.activity, Activity::Storing { .. } | Activity::Discarding { .. }));
        // What was refused, and replaced for that, may live on until nobody can hold it.
        let kept = (facts.presumed_dead & state.alive).count_ones() as usize;
        state.alive.count_ones() as usize <= 2 + begun as usize + in_hand.count() + unknown + kept
    }

    /// S4: every live token is of an attempt that the record knows of, so that it is listed and judged.
    fn none_forgotten(&self, state: &State) -> bool {
        if state.broken.is_some_and(|broken| broken.starts_with("S4 ")) {
            return false;
        }
        match self.world.operator.facts(state.record) {
            // What a record that went back has never heard of is found by the next look, see L1-L3.
            _ if state.went_back => true,
            Some(facts) => state.live_tokens().all(|token| token.attempt() <= facts.counter),
            None => state.wish.exists || state.alive == 0,
        }
    }

    fn pods(&self, state: &State, events: &mut Vec<Event>) {
        let readable: Vec<Token> = {
            let set = state.readable[0] | state.readable[1] | state.frozen.bit();
            state.created.iter().copied().filter(|token| !token.is_none() && set & token.bit() != 0).collect()
        };
        if state.budget.starts > 0 && state.wish.wanted && state.pods.iter().any(|pod| pod.life == Life::None) {
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
