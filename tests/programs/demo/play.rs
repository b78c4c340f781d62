//! The play: first token, two rotations under traffic, and the proof that the first token is dead.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokenturn::{
    api::{RotatedTokenStatus, names::ROTATE_NOW_ANNOTATION},
    testkit::Token,
};

use crate::{
    Error,
    stage::{NAME, NAMESPACE, Stage},
    story,
    terminal::{Terminal, Voice},
};

const CONSUMERS: usize = 3;
const ROTATIONS: i64 = 2;

/// For one wait: a rotation takes about 40 s here.
const PATIENCE: Duration = Duration::from_secs(180);

/// For how long the API server may accept a dead token, with something to spare.
const CACHED: Duration = Duration::from_secs(15);

pub async fn play(stage: &Stage, terminal: &Arc<Terminal>) -> Result<(), Error> {
    stage.apply_example(terminal).await?;
    let telling = story::tell(stage, terminal);
    in_use(stage, 1).await?;
    let first = stage.tokens.all().into_iter().next().ok_or("the Secret was filled and nobody saw it")?;
    let status = direct_call(stage, &first).await?;
    terminal.say(Voice::Demo, &format!("all {CONSUMERS} pods use token 1; a direct call with it: {}", spoken(status)));

    for rotation in 1..=ROTATIONS {
        tokio::time::sleep(Duration::from_secs(2)).await;
        rotate(stage, terminal, rotation).await?;
        in_use(stage, rotation + 1).await?;
        let (new, old) = (rotation + 1, rotation);
        let done =
            format!("finished {rotation} of {ROTATIONS} rotations: token {new} is in use, token {old} is revoked");
        terminal.say(Voice::Demo, &done);
    }

    let status = dead_call(stage, &first).await?;
    terminal.say(Voice::Demo, &format!("a direct call with token 1: {}", spoken(status)));
    drop(telling);
    terminal.clear_status();
    summary(stage, terminal).await
}

/// Asks for one rotation, as `kubectl annotate` would.
async fn rotate(stage: &Stage, terminal: &Terminal, rotation: i64) -> Result<(), Error> {
    let value = format!("demo-{rotation}");
    terminal.say(Voice::Demo, &format!("kubectl annotate rtok {NAME} {ROTATE_NOW_ANNOTATION}={value}"));
    let patch = json!({"metadata": {"annotations": {ROTATE_NOW_ANNOTATION: value}}});
    stage.rotated_tokens().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Waits until the token of a sequence is the only one alive and all consumers hold it.
async fn in_use(stage: &Stage, sequence: i64) -> Result<(), Error> {
    let done = async || {
        let status = stage.rotated_tokens().get(NAME).await.ok()?.status?;
        let fingerprint = status.current.as_ref()?.fingerprint.clone();
        let held = stage.history.holders(&fingerprint).len() == CONSUMERS;
        (held && status.sequence == Some(sequence) && at_rest(&status)).then_some(())
    };
    let started = tokio::time::Instant::now();
    while done().await.is_none() {
        if let Some(ended) = stage.operator.lock().await.ended() {
            return Err(format!("the operator ended ({ended})").into());
        }
        stage.plane.check()?;
        if started.elapsed() > PATIENCE {
            let wanted = format!("waited {PATIENCE:?} in vain for token {sequence} to be the only one in use");
            return Err(format!("{wanted}; {}", stage.last_words().await).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn at_rest(status: &RotatedTokenStatus) -> bool {
    let is =
        |type_, value| status.conditions.iter().any(|condition| condition.type_ == type_ && condition.status == value);
    status.previous.is_none() && is("Ready", "True") && is("Reconciling", "False")
}

/// HTTP status of one call with a token.
async fn direct_call(stage: &Stage, token: &Token) -> Result<u16, Error> {
    let client = stage.plane.client_with_token(token.reveal(), "demo-direct").await?;
    match Api::<ConfigMap>::namespaced(client, NAMESPACE).list(&ListParams::default()).await {
        Ok(_) => Ok(200),
        Err(kube::Error::Api(status)) => Ok(status.code),
        Err(error) => Err(error.into()),
    }
}

/// HTTP status of a call with a token that should be dead. The API server keeps an answer for ten seconds, so a good
/// status counts only if it stays.
async fn dead_call(stage: &Stage, token: &Token) -> Result<u16, Error> {
    let started = tokio::time::Instant::now();
    loop {
        let status = direct_call(stage, token).await?;
        if status == 401 || started.elapsed() > CACHED {
            return Ok(status);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn spoken(status: u16) -> String {
    match status {
        200 => "200 OK".to_owned(),
        401 => "401 Unauthorized".to_owned(),
        other => other.to_string(),
    }
}

/// Prints what each token came to, and judges.
async fn summary(stage: &Stage, terminal: &Terminal) -> Result<(), Error> {
    let tokens = stage.tokens.all();
    let counts = stage.history.counts(NAMESPACE);
    let (accepted, refused) = (stage.history.accepted(NAMESPACE), stage.history.refused(NAMESPACE));
    let other: usize = counts.values().map(|counts| counts.other).sum();
    terminal.plain("");
    terminal.plain("token  fingerprint   calls accepted  calls refused  a direct call now");
    let mut problems = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let fingerprint = token.fingerprint();
        let of_token = counts.get(&fingerprint).copied().unwrap_or_default();
        let is_last = index + 1 == tokens.len();
        let status = if is_last { direct_call(stage, token).await? } else { dead_call(stage, token).await? };
        let fate = format!("{}, {}", spoken(status), if is_last { "current" } else { "revoked" });
        let (number, yes, no) = (index + 1, of_token.accepted, of_token.refused);
        terminal.plain(&format!("{number:<5}  {fingerprint}  {yes:>14}  {no:>13}  {fate}"));
        if status != if is_last { 200 } else { 401 } {
            problems.push(format!("a direct call with token {number} was answered with {status}"));
        }
    }
    terminal.plain("");
    let calls = format!("{accepted} calls accepted, {refused} refused, {other} without a usable answer");
    terminal.plain(&format!("{ROTATIONS} rotations after the first token: {calls}"));
    if tokens.len() as i64 != ROTATIONS + 1 {
        problems.push(format!("the Secret held {} tokens, not {}", tokens.len(), ROTATIONS + 1));
    }
    if refused > 0 {
        problems.push(format!("{refused} calls of consumers were refused"));
    }
    if accepted == 0 {
        problems.push("no consumer called at all".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems.join("; ").into());
    }
    terminal.plain("no call of a consumer was refused, and the first token is dead");
    Ok(())
}
