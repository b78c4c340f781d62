//! What a rule answers, and how it stops at what it has to look up: at a question that is not answered yet, and at an answer that
//! could not be had.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        ledger::record::{Intent, Ledger},
        plan::Plan,
        pods::consumers::Consumers,
        schedule,
        seen::{
            answers::{Fault, Question},
            observed::Observed,
            views::Resource,
        },
        step::{Change, Decision, Phase, Step},
        timing::STALLED_WAKE,
        token::{Census, Listed, Serial, Source, Verification},
    },
};

/// A rule's answer: a decision, or `None` if it does not apply.
pub type Ruling = Result<Option<Decision>, Stop>;

/// Why a rule goes no further.
#[derive(Clone, Debug)]
pub enum Stop {
    /// This has to be answered first.
    Ask(Question),
    /// An answer could not be had, or says what to do.
    Do(Box<Decision>),
}

impl From<Question> for Stop {
    fn from(question: Question) -> Self {
        Self::Ask(question)
    }
}

impl From<Decision> for Stop {
    fn from(decision: Decision) -> Self {
        Self::Do(Box::new(decision))
    }
}

/// Changes what is decided, whether a rule came to its end or stopped before.
///
/// # Errors
/// As `ruling`, changed.
pub fn adjust(ruling: Ruling, change: impl FnOnce(Decision) -> Decision) -> Ruling {
    match ruling {
        Ok(Some(decision)) => Ok(Some(change(decision))),
        Err(Stop::Do(decision)) => Ok(Some(change(*decision))),
        Ok(None) => Ok(None),
        Err(Stop::Ask(question)) => Err(Stop::Ask(question)),
    }
}

/// How long a pause that was asked for becomes at most when it was asked for again and again.
const LONGER_PAUSE: Duration = Duration::from_secs(16);

/// Waiting after a reconcile that failed: longer each time, and at once long if a person has to act.
#[must_use]
pub fn on_fault(observed: &Observed, fault: &Fault) -> Decision {
    let backoff = schedule::backoff(observed.memory.failures);
    let wake = if fault.needs_person { backoff.max(Duration::from_secs(10)) } else { backoff };
    // Who asks for a short pause again and again gets a longer one.
    let asked = fault.retry_after.map(|asked| asked.max(backoff.min(LONGER_PAUSE)));
    Decision {
        step: Step::Wait { wake: Some(asked.unwrap_or(wake)), failed: true },
        phase: if fault.needs_person { Phase::Stalled } else { Phase::Progressing },
        reason: fault.reason,
        message: fault.message.clone(),
        pickup: None,
        fault: fault.class,
    }
}

/// The decision to write an intent.
pub(in crate::core) fn intended(next: Ledger) -> Decision {
    let Some(&Intent { serial, trigger, .. }) = next.intent.as_ref() else {
        return Decision::wait(STALLED_WAKE, Reason::InternalError, "an intent without a serial");
    };
    let message = format!("rotation {} begins ({trigger})", serial.sequence);
    let step = Step::Save { ledger: Box::new(next), change: Change::Intended(serial) };
    Decision::act(step, Reason::Minting, message)
}

impl Resource {
    /// What it asks for; without that it waits for a person.
    ///
    /// # Errors
    /// It cannot be said.
    pub(in crate::core) fn planned(&self) -> Result<&Plan, Stop> {
        let stalled = |reason, message: &String| Decision::stall(STALLED_WAKE, reason, message.clone()).into();
        self.plan.as_ref().map_err(|trouble| stalled(trouble.reason, &trouble.message))
    }
}

/// Answers without which a rule goes no further. Those of which the faults mean something to a rule are looked up by `try_` of the same name.
///
/// # Errors
/// The question, or the wait after an answer that could not be had.
impl Observed {
    fn had<T>(&self, answer: Result<Result<T, &Fault>, Question>) -> Result<T, Stop> {
        answer?.map_err(|fault| on_fault(self, fault).into())
    }

    pub(in crate::core) fn listing(&self, source: &Source) -> Result<&[Listed], Stop> {
        self.had(self.try_listing(source))
    }

    pub(in crate::core) fn preflight(&self) -> Result<Option<&Census>, Stop> {
        self.had(self.try_preflight())
    }

    pub(in crate::core) fn verification(&self, serial: Serial) -> Result<&Verification, Stop> {
        self.had(self.try_verification(serial))
    }

    pub(in crate::core) fn consumers(&self) -> Result<&Consumers, Stop> {
        self.had(self.try_consumers())
    }
}
