//! One run: sets the world up, arms the faults, lets the scenario happen, waits for its end, and gathers what is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;
use tokenturn::{connect::faults::plan::Entry, testkit::Token};

use super::{
    Failure, compare,
    contract::{Account, Contract},
    eyes::Seen,
    in_place::Person,
    menu::Key,
    replicas::{self, Replicas},
    scenario::{End, Scenario},
    stage::Stage,
    world::World,
};

/// How long a scenario may take, with the fault and on a busy machine.
const LIMIT: Duration = Duration::from_secs(360);

/// When nothing has happened for this long, nothing more is to come: a start looks at its objects within 2 s.
const QUIET: Duration = Duration::from_secs(5);

/// Questions about rights that belong to the start have been asked this long after the provider was judged.
const STARTED: Duration = Duration::from_millis(1200);

const LOOK: Duration = Duration::from_millis(250);

/// What is judged.
#[derive(Debug)]
pub struct Outcome {
    /// Why the end was not reached, if it was not.
    pub unfinished: Option<String>,
    pub fired: bool,
    pub entries: Vec<Entry>,
    pub ends: Vec<replicas::End>,
    pub seen: Seen,
    pub refused: usize,
    /// What became of the tokens of an HTTP provider.
    pub account: Option<Account>,
    /// Whether it may have tokens at the end that a lost answer left behind, and whether they have to be told.
    pub may_orphan: bool,
    pub tells: bool,
    /// Fingerprints of the tokens that consumers ever called with, and of those that are to be alive.
    pub held: BTreeSet<String>,
    pub expected: BTreeSet<String>,
    /// Where a new token ends the one before it: who was asked for a new first one.
    pub person: Option<Person>,
    /// What was told of tokens that were left behind.
    pub reported: Vec<String>,
    /// Whether the token in the target is accepted; `None` where there is no target.
    pub target_lives: Option<bool>,
    /// Whether what the target has beside the token belongs to it.
    pub target_is_whole: bool,
    /// Serial of the Deployment: how often its template or size was changed.
    pub rollouts: i64,
    /// Field by field: what is left at the end.
    pub state: BTreeMap<String, String>,
    /// The runner's own watches began anew meanwhile, so that something may have gone unseen.
    pub blind: bool,
    pub logs: String,
}

pub async fn perform(stage: Arc<Stage>, scenario: &Scenario, key: &Key) -> Result<Outcome, Failure> {
    let interruptions = stage.eyes.interruptions();
    let world = World::create(&stage, &format!("{}-{}", scenario.name, key.mode.name()), scenario).await?;
    let mut replicas = Replicas::new(&stage, &world.name, key.mode, &key.faults);
    let mut person = Person::default();
    let finished = play(scenario, &world, &mut replicas, &mut person).await;
    let seen = world.seen();
    let objects = (world.target().await?, world.object().await?, world.workload().await?, world.provider().await?);
    let (target, object, workload, provider) = objects;
    let current = world.token().await?;
    let target_lives = match &current {
        Some(token) => Some(world.accepts(token).await?),
        None => None,
    };
    let belongs = |contract: &Arc<Contract>| target.as_ref().is_none_or(|target| contract.is_whole(target));
    let target_is_whole = world.contract.as_ref().is_none_or(belongs);
    let held: BTreeSet<String> = stage.history.counts(&world.name).into_keys().collect();
    let mut expected: BTreeSet<String> = current.iter().map(Token::fingerprint).collect();
    if matches!(scenario.end, End::AwaitingExpiry { .. } | End::Replaced { .. }) {
        expected.extend(held.iter().cloned());
    }
    let mut reported = world.describe("TokenMayRemain").await?;
    reported.extend(replicas.lines_with("the answer to a create was lost"));
    let conditions = object.iter().filter_map(|object| object["status"]["conditions"].as_array()).flatten();
    reported.extend(
        conditions
            .filter(|condition| condition["reason"] == "TokenMayRemain")
            .map(|condition| condition["message"].to_string()),
    );
    let contract = world.contract.as_ref();
    let tells = contract.is_some_and(|contract| contract.tells());
    let in_place = contract.filter(|contract| contract.is_in_place());
    let rollouts = workload.as_ref().and_then(|object| object["metadata"]["generation"].as_i64()).unwrap_or(0);
    // How far its controllers have come with the pods says nothing of the operator; the serial says how often it rolled.
    let workload = workload.map(|mut object| {
        object["status"].take();
        object
    });
    let object = object.map(|mut object| {
        // Nothing is asked any more once the recipe is known to be wrong: a process that was started since then does not know more.
        if let (End::RecipeWrong, Some(conditions)) = (scenario.end, object["status"]["conditions"].as_array_mut()) {
            conditions.retain(|condition| condition["type"] != "ProviderReady");
            // Attempts whose answers were lost are told beside what is wrong; whether they are, the judge of the provider sees.
            for condition in conditions.iter_mut().filter(|_| tells) {
                (condition["reason"], condition["message"]) = (Value::Null, Value::Null);
            }
        }
        object
    });
    let parts = [("target", target), ("object", object), ("workload", workload), ("provider", provider)];
    Ok(Outcome {
        unfinished: finished.err().map(|error| error.to_string()),
        fired: replicas.fired(),
        refused: stage.history.refused(&world.name),
        account: contract.map(|contract| contract.account()),
        may_orphan: world.may_orphan(),
        tells,
        held,
        expected,
        person: in_place.map(|_| person),
        reported,
        target_lives,
        target_is_whole,
        rollouts,
        state: parts.into_iter().flat_map(|(name, part)| compare::fields(name, part)).collect(),
        blind: stage.eyes.interruptions() != interruptions,
        logs: replicas.tails(40),
        entries: std::mem::take(&mut replicas.entries),
        ends: std::mem::take(&mut replicas.ends),
        seen,
    })
}

async fn play(scenario: &Scenario, world: &World, replicas: &mut Replicas, person: &mut Person) -> Result<(), Failure> {
    if scenario.issued {
        replicas.start_all()?;
        world.create_token().await?;
        until_end(world, replicas, person, End::AtRest { sequence: 1 }, scenario.consumers, false).await?;
        replicas.arm()?;
    } else {
        replicas.arm()?;
        replicas.start_all()?;
        started(world, replicas).await?;
    }
    (scenario.act)(world).await?;
    let consumers = if scenario.end == End::Gone { 0 } else { scenario.consumers };
    until_end(world, replicas, person, scenario.end, consumers, true).await?;
    go_on_calling(world, consumers).await
}

/// Waits until the operator has judged the provider object, so that this and the first issue do not mix.
async fn started(world: &World, replicas: &mut Replicas) -> Result<(), Failure> {
    let since = Instant::now();
    // A write of that judgement that fails is not waited for.
    while since.elapsed() < Duration::from_secs(60) && !world.provider_is_judged().await? {
        let tried = replicas.entries.iter().any(|entry| entry.effect == "PATCH provider/status");
        if tried && replicas.quiet() > Duration::from_secs(3) {
            break;
        }
        tokio::time::sleep(LOOK).await;
        replicas.supervise()?;
    }
    tokio::time::sleep(STARTED).await;
    Ok(())
}

async fn until_end(
    world: &World,
    replicas: &mut Replicas,
    person: &mut Person,
    end: End,
    consumers: usize,
    acted: bool,
) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        replicas.supervise()?;
        person.look(world).await?;
        let missing = missing(world, end, consumers).await?;
        let over = if acted { !replicas.entries.is_empty() && replicas.quiet() > QUIET } else { true };
        // What was planned and never came up is told by the judge.
        let fired = replicas.fired() || replicas.quiet() > QUIET * 3;
        if missing.is_none() && over && fired {
            return Ok(());
        }
        if since.elapsed() > LIMIT {
            let missing = missing.unwrap_or_else(|| "the operator goes on and on".to_owned());
            return Err(format!("not at the end after {} s: {missing}", LIMIT.as_secs()).into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is not yet as it has to be.
async fn missing(world: &World, end: End, consumers: usize) -> Result<Option<String>, Failure> {
    let seen = world.seen();
    // How many may be left behind is judged in the end.
    let surplus = seen.live.len().checked_sub(end.live());
    if surplus.is_none_or(|surplus| surplus > 0 && !world.may_orphan()) {
        return Ok(Some(format!("{} tokens are alive", seen.live.len())));
    }
    if world.contract.as_ref().is_some_and(|contract| contract.misleads()) {
        return Ok(Some("the provider misleads still, or was not asked again since".to_owned()));
    }
    let (sequence, awaits_expiry) = match end {
        End::AtRest { sequence } | End::Replaced { sequence } => (sequence, false),
        End::AwaitingExpiry { sequence } => (sequence, true),
        End::RecipeWrong => {
            let conditions = seen.object.and_then(|object| object.status).unwrap_or_default().conditions;
            // What may be alive is the reason where there is such a thing.
            let is_told = |reported: &Condition| {
                let says_so = reported.reason == "RecipeWrong"
                    || (reported.reason == "TokenMayRemain"
                        && reported.message.contains("because the recipe is wrong"));
                reported.type_ == "Stalled" && reported.status == "True" && says_so
            };
            if !conditions.iter().any(is_told) {
                return Ok(Some(format!("it is not said that the recipe is wrong: {conditions:?}")));
            }
            return judged_well(world).await;
        }
        End::Gone => {
            let left = seen.object.is_some() || seen.target || !seen.records.is_empty();
            return Ok(left.then(|| "object, Secret or record is still there".to_owned()));
        }
    };
    let status = seen.object.and_then(|object| object.status).unwrap_or_default();
    let says = |type_: &str, wanted: &str| {
        status.conditions.iter().any(|condition| condition.type_ == type_ && condition.status == wanted)
    };
    let waits = |condition: &Condition| condition.type_ == "Ready" && condition.reason == "AwaitingExpiry";
    let rests = match awaits_expiry {
        true => status.previous.is_some() && status.conditions.iter().any(waits),
        false => status.previous.is_none() && says("Reconciling", "False"),
    };
    if status.sequence != Some(sequence) || !rests || !says("Ready", "True") || !says("ProviderReady", "True") {
        let reported = status.conditions.iter().map(|condition| format!("{}={}", condition.type_, condition.message));
        return Ok(Some(reported.collect::<Vec<_>>().join(", ")));
    }
    if status.conditions.iter().any(|condition| condition.reason == "TokenRefused") {
        return Ok(Some("the token is in doubt".to_owned()));
    }
    if matches!(end, End::Replaced { .. }) && !says("Overlap", "False") {
        return Ok(Some("the condition does not say that nothing overlaps".to_owned()));
    }
    let Some(fingerprint) = world.token().await?.map(|token: Token| token.fingerprint()) else {
        return Ok(Some("there is no target".to_owned()));
    };
    if status.current.as_ref().is_none_or(|current| current.fingerprint != fingerprint) {
        return Ok(Some("the target does not hold the current token".to_owned()));
    }
    if !world.all_hold(&fingerprint, consumers) {
        return Ok(Some("not all consumers hold the token of the target".to_owned()));
    }
    judged_well(world).await
}

async fn judged_well(world: &World) -> Result<Option<String>, Failure> {
    Ok((!world.provider_is_well().await?).then(|| "the condition of the provider object is not True".to_owned()))
}

/// Consumers call until the end and beyond, or nobody would notice a refused one.
async fn go_on_calling(world: &World, consumers: usize) -> Result<(), Failure> {
    let (since, before) = (Instant::now(), world.stage.history.accepted(&world.name));
    while consumers > 0 && world.stage.history.accepted(&world.name) < before + consumers {
        if since.elapsed() > Duration::from_secs(60) {
            return Err("consumers no longer call".into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
