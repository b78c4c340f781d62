//! The state space: what can happen in each state, and which promises are looked at.

use stateright::{Model, Property};

use crate::{
    calm::Calm,
    operator::Effect,
    scenarios::{Begins, Ends, Scenario},
    state::{Activity, Late, Own, REPLICAS, Replica, StampId, State, Target},
    token::{Object, Token},
    world::{Event, World},
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
        let mut own = [Own::default(); Object::ALL.len()];
        self.world.objects().iter().for_each(|object| own[*object as usize].wish.exists = true);
        let state = State {
            own,
            target: Target::default(),
            backup_target: Target::default(),
            copy: Target::default(),
            copy_used: false,
            created: Default::default(),
            alive: 0,
            present: 0,
            former: 0,
            published: 0,
            killed: 0,
            mute: 0,
            muted_for: 0,
            wanting: 0,
            was_immutable: Token::NONE,
            readable: [0; 2],
            held: 0,
            pods: Default::default(),
            born: 1,
            wanted: true,
            node_ready: true,
            stamp: StampId::default(),
            replicas,
            late: None,
            budget: self.scenario.budget,
            broken: None,
        };
        vec![match self.scenario.begins {
            Begins::Blank => state,
            Begins::Issued => self.issued(state),
            Begins::Pending => self.pending(state),
            Begins::Leaving => self.leaving(state),
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
        self.world.objects().iter().for_each(|object| self.people(state, *object, events));
        self.targets(state, events);
    }

    fn next_state(&self, last: &State, event: Event) -> Option<State> {
        let mut state = last.clone();
        self.world.happen(&mut state, event);
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        let few =
            |record| self.world.operator.facts(record).is_none_or(|facts| facts.counter <= self.scenario.attempts);
        state.own.iter().all(|own| few(own.record))
            && state.created.iter().all(|token| token.attempt() <= self.scenario.attempts)
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
            Property::always("S3", |model: &Self, state| model.objects(|of| model.few_live(state, of))),
            Property::always("S4", |model: &Self, state| model.objects(|of| model.none_forgotten(state, of))),
            kept!("S5"),
            kept!("S6"),
            kept!("S8"),
            kept!("S9"),
            kept!("S10"),
            kept!("S11"),
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
            state.start(token);
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
        state[Object::A].wish.rotations += 1;
        for _ in 0..PASSES {
            if self.world.operator.facts(state[Object::A].record).is_some_and(|facts| !facts.pending.is_none()) {
                break;
            }
            crate::calm::pass_of_one(&self.world, &mut state);
        }
        State { replicas, budget, ..state }
    }

    /// A deletion has come to the count of the pods, and the processes are new.
    fn leaving(&self, state: State) -> State {
        let mut state = self.issued(state);
        let replicas = state.replicas;
        (state[Object::A].wish.deleting, state.wanted) = (true, false);
        crate::calm::pass_of_one(&self.world, &mut state);
        State { replicas, ..state }
    }

    /// Whether something holds for every object.
    fn objects(&self, holds: impl Fn(Object) -> bool) -> bool {
        self.world.objects().iter().all(|object| holds(*object))
    }

    /// An event with what it carries out or answers.
    pub fn describe(&self, before: &State, event: Event) -> String {
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
    fn few_live(&self, state: &State, of: Object) -> bool {
        if matches!(self.scenario.ends, Ends::Expired | Ends::Displaced) {
            return true;
        }
        let Some(facts) = self.world.operator.facts(state[of].record) else { return true };
        let known = [facts.current, facts.previous];
        let unknown = |token: &Token| token.attempt() <= facts.unknown_until && !known.contains(token);
        let unknown = state.live_tokens_of(of).filter(unknown).count();
        let begun = u32::from(facts.counter.saturating_sub(facts.current.attempt()));
        let in_hand = state
            .replicas
            .iter()
            .filter(|replica| matches!(replica.activity, Activity::Storing { token, .. } | Activity::Discarding { token } if token.object() == of));
        // What was refused, and replaced for that, may live on until nobody can hold it.
        let kept = (facts.presumed_dead & state.alive).count_ones() as usize;
        state.live_tokens_of(of).count() <= 2 + begun as usize + in_hand.count() + unknown + kept
    }

    /// S4: every live token is of an attempt that the record knows of, so that it is listed and judged.
    fn none_forgotten(&self, state: &State, of: Object) -> bool {
        if state.broken.is_some_and(|broken| broken.starts_with("S4 ")) {
            return false;
        }
        let Own { wish, record, went_back, .. } = state[of];
        match self.world.operator.facts(record) {
            // What a record that went back has never heard of is found by the next look, see L1-L3.
            _ if went_back => true,
            Some(facts) => state.live_tokens_of(of).all(|token| token.attempt() <= facts.counter),
            None => wish.exists || state.live_tokens_of(of).next().is_none(),
        }
    }
}
