//! Looks up what a decision asked for: live, once for each `look::look`.

use std::time::Duration;

use super::{consumers::consumers, fault::cannot_publish, observe::Handles, reads::Reads, remembered::Looked};
use crate::{
    api::conditions::Reason,
    core::{
        rules::verifying::has_to_prove,
        seen::{
            answers::{Fault, Question},
            observed::Observed,
        },
        token::{Census, Issued, Naming, Proof, Serial, Source, Verification},
    },
    kube_io::{Swap, access, resource, target},
    providers::{self, Inspect, Subject},
};

/// Looks up one question and puts the answer where the next decision finds it.
pub async fn answer(
    reads: &Reads,
    observed: &mut Observed,
    handles: &Handles,
    looked: &mut Looked,
    question: Question,
) {
    match question {
        Question::Listing(source) => {
            let listing = match reads.inspectors.with_kept(&source, handles.stand_ins()) {
                Err(fault) => Err(fault),
                Ok(driver) => {
                    let naming = reads.naming(observed);
                    asked(reads, observed, &source, &driver, "list", driver.list(subject(observed, &naming, &source)))
                        .await
                }
            };
            observed.note_listing(listing);
        }
        Question::Preflight => observed.answers.preflight = Some(preflight(reads, observed, handles).await),
        Question::Verify(serial) => {
            let began = reads.uptime();
            let recent = looked.read_once.works(serial, began).filter(|_| !has_to_prove(observed, serial));
            let verification = match recent {
                Some((verification, unshown)) => {
                    observed.answers.unshown = unshown;
                    Ok(verification)
                }
                None => {
                    let asked = verification(reads, observed, handles, serial).await;
                    if let Ok(verification) = &asked {
                        looked.read_once.verified(serial, began, verification, &observed.answers.unshown);
                    }
                    asked
                }
            };
            observed.answers.verification.insert(serial, verification);
        }
        Question::Liveness(serial) => {
            let liveness = match known(reads, observed, handles, serial) {
                Err(fault) => Err(fault),
                Ok((token, driver)) => {
                    let naming = reads.naming(observed);
                    let subject = subject(observed, &naming, &token.source);
                    let answer = driver.liveness(subject, token, observed.values(serial));
                    asked(reads, observed, &token.source, &driver, "liveness", answer).await
                }
            };
            observed.answers.liveness.insert(serial, liveness);
        }
        Question::LastUse(serial) => {
            let last_use = match known(reads, observed, handles, serial) {
                Err(fault) => Err(fault),
                Ok((token, driver)) => {
                    let naming = reads.naming(observed);
                    let subject = subject(observed, &naming, &token.source);
                    let answer = driver.last_use(subject, token, observed.values(serial));
                    asked(reads, observed, &token.source, &driver, "last_use", answer).await
                }
            };
            observed.answers.last_use.insert(serial, last_use);
        }
        Question::Consumers => {
            observed.answers.consumers = Some(consumers(reads, observed, handles, looked).await);
        }
        Question::NamespaceEnds => {
            let ends = resource::namespace_ends(&reads.cluster, &observed.owner.namespace).await;
            observed.answers.namespace_ends = Some(ends.map_err(Fault::from));
        }
    }
}

/// Whether a token works and, before it is used, whether its recipe does what it says.
async fn verification(
    reads: &Reads,
    observed: &mut Observed,
    handles: &Handles,
    serial: Serial,
) -> Result<Verification, Fault> {
    let (token, driver) = known(reads, observed, handles, serial)?;
    let Some(values) = observed.values(serial) else { return Err(value_lost(token)) };
    let naming = reads.naming(observed);
    let subject = subject(observed, &naming, &token.source);
    let verification = asked(reads, observed, &token.source, &driver, "verify", driver.verify(subject, values)).await?;
    if !matches!(verification, Verification::Works { .. }) {
        return Ok(verification);
    }
    if has_to_prove(observed, serial) {
        let proof = driver.prove(subject, token, values);
        match asked(reads, observed, &token.source, &driver, "prove", proof).await? {
            Proof::Shown => {}
            Proof::NotYet { why } => return Ok(Verification::Misread { why, may_pass: true }),
            Proof::Wrong { why } => return Ok(Verification::Misread { why, may_pass: false }),
        }
    }
    observed.answers.unshown = driver.unshown(&observed.owner);
    Ok(verification)
}

fn subject<'a>(observed: &'a Observed, naming: &'a Naming, source: &'a Source) -> Subject<'a> {
    Subject { owner: &observed.owner, naming, specification: &source.specification }
}

/// Asks a provider, and measures that.
async fn asked<T>(
    reads: &Reads,
    observed: &Observed,
    source: &Source,
    driver: &impl Inspect,
    verb: &'static str,
    answer: impl Future<Output = Result<T, providers::Error>>,
) -> Result<T, Fault> {
    let call = reads.metrics.call(&observed.owner, source, driver.name(), verb);
    let answer = answer.await;
    call.ended(answer.as_ref().err());
    answer.map_err(Fault::from)
}

fn no_token() -> Fault {
    let message = "the record lacks the token that was asked about; this is a bug, please report it";
    Fault::lasting(Reason::InternalError, message)
}

fn value_lost(token: &Issued) -> Fault {
    let message = format!("the value of {} is missing in the record, so the operator cannot verify it", token.id);
    Fault::lasting(Reason::ValueLost, message)
}

fn known<'a>(
    reads: &Reads,
    observed: &'a Observed,
    handles: &Handles,
    serial: Serial,
) -> Result<(&'a Issued, impl Inspect + use<>), Fault> {
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let token = ledger.and_then(|ledger| ledger.tokens().find(|token| token.serial == serial));
    let token = token.ok_or_else(no_token)?;
    Ok((token, reads.inspectors.with_kept(&token.source, handles.stand_ins())?))
}

/// Whether the operator may do all that a rotation needs. A right that was taken away since leaves a pending token, which is not published, and
/// before which no other one is minted.
async fn rights(reads: &Reads, namespace: &str) -> Result<(), Fault> {
    let missing = access::missing(&reads.cluster, namespace, &access::ROTATION).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let message =
        format!("the operator may not {} in namespace {namespace}; see the chart's roles", missing.join(", "));
    Err(Fault::lasting(Reason::AccessDenied, message))
}

/// Could a token be minted and published now? Asks for rights, writes the target in a dry run, asks the provider.
async fn preflight(reads: &Reads, observed: &Observed, handles: &Handles) -> Result<Option<Census>, Fault> {
    let Some(resource) = &observed.resource else { return Ok(None) };
    let Ok(plan) = &resource.plan else { return Ok(None) };
    let driver = reads.inspectors.with_kept(&plan.source, None)?;
    let namespace = &observed.owner.namespace;
    reads.rights.get(namespace.clone(), rights(reads, namespace)).await?;
    let dry_run = target::dry_run(&reads.cluster, &observed.owner, &resource.target, handles.target.as_ref()).await;
    match dry_run.map_err(|error| cannot_publish(&error))? {
        Swap::Done => {}
        Swap::Conflict => {
            let message = format!("another client is changing Secret {}", resource.target.name);
            let retry_after = Some(Duration::from_secs(1));
            return Err(Fault { retry_after, ..Fault::passing(Reason::CannotPublish, message) });
        }
    }
    let naming = reads.naming(observed);
    let ready = driver.preflight(subject(observed, &naming, &plan.source));
    asked(reads, observed, &plan.source, &driver, "preflight", ready).await
}
