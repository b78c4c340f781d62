//! What a process remembers of a reconcile and of what was decided in it.

use std::time::Duration;

use crate::core::{
    report,
    rules::{life, metadata},
    seen::{
        answers::FaultClass,
        memory::Memory,
        observed::Observed,
        repairs::{MOST_BETWEEN, Repairs},
    },
    step::{Change, Decision, Phase, Step},
    timing::LATE_CREATE,
};

impl Memory {
    /// Notes what was decided in a reconcile. Pickup is proven from the first reconcile that shows it until one that does not.
    pub fn decided(&mut self, uptime: Duration, observed: &Observed, decision: &Decision) {
        match &decision.pickup {
            Some(pickup) if pickup.remaining == 0 && pickup.blockers.is_empty() => {
                self.proven_since.get_or_insert(uptime);
            }
            Some(_) => self.proven_since = None,
            None => {}
        }
        if let Step::Save { change: Change::Intended(serial), .. } = &decision.step {
            // From before it is sent: a pause of the process counts. Not before it is acknowledged, though: another replica
            // may have written an intent of the same number, and that one is younger.
            self.intended = Some((*serial, observed.uptime));
        }
        match report::learned(observed) {
            Some(health) => self.provider = Some(health),
            // That it was missing is over.
            None if report::is_missing(self.provider.as_ref()) && report::provider_exists(observed) => {
                self.provider = None
            }
            None => {}
        }
        self.note_refusals(observed);
        self.note_repairs(uptime, observed, decision);
        // At rest with a list that held nothing to sweep: no need to list again for this token.
        if decision.phase == Phase::AtRest && matches!(observed.answers.listing, Some(Ok(_))) {
            self.answer_lost = self.answer_lost.filter(|lost| uptime.saturating_sub(*lost) < LATE_CREATE);
            let current = observed.record.as_ref().and_then(|record| record.ledger.current.as_ref());
            self.swept = current.map(|current| current.token.serial);
        }
    }

    /// Counts repairs of labels and annotations; when they hold for longer than the pause between two, the count begins anew.
    fn note_repairs(&mut self, uptime: Duration, observed: &Observed, decision: &Decision) {
        if !metadata::is_of_metadata(observed) {
            if uptime.saturating_sub(self.repairs.last) > MOST_BETWEEN {
                self.repairs = Repairs::default();
            }
        } else if let (Step::Publish { repair: true, .. }, Some(resource)) = (&decision.step, &observed.resource) {
            self.repairs = self.repairs.with(uptime, resource);
        }
    }

    /// Counts refusals; another answer ends the count, no answer does not.
    fn note_refusals(&mut self, observed: &Observed) {
        let answered = observed.answers.liveness.iter();
        for (serial, liveness) in answered.filter_map(|(serial, answer)| Some((serial, answer.as_ref().ok()?))) {
            match life::refusals(observed, *serial, *liveness) {
                Some(refusals) => _ = self.refusals.insert(*serial, refusals),
                None => _ = self.refusals.remove(serial),
            }
        }
    }

    /// Whether a step is still taken when the process is asked to end: what stands between an intent that was committed here and its
    /// create. Left to the next process, the intent would be a lost attempt.
    #[must_use]
    pub const fn has_to_finish(&self, decision: &Decision) -> bool {
        self.unsent_intent.is_some() && matches!(decision.step, Step::Mint { .. } | Step::Revoke { .. })
    }

    /// Notes with what a reconcile came to rest.
    pub fn rests(&mut self, uptime: Duration, deleting: bool, decision: &Decision) {
        let is_refused = decision.fault == FaultClass::CredentialRejected;
        self.refused_credential_since = is_refused.then(|| self.refused_credential_since.unwrap_or(uptime));
        let is_stuck = deleting && (decision.phase == Phase::Stalled || report::failed(decision));
        self.stuck_since = is_stuck.then(|| self.stuck_since.unwrap_or(uptime));
    }
}
