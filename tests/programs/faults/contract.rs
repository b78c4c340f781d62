//! The server of an HTTP provider in one run: what the operator is given for it, who calls it, and what became of its tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokenturn::{
    providers::{
        LostAnswer,
        http::{message::dpop::ProofKey, recipe::compile},
    },
    testkit::{
        Outcome as Called, Seat, Token,
        consumer::TokenUse,
        contract::{self, ADMIN, ContractServer, Fault, Lie, Operation, Wire},
    },
};

use super::{
    Failure,
    example::{Example, Prepared},
    world::value,
};

/// Tokens of somebody else, with a name that could be ours at another installation.
const FOREIGN: [&str; 2] = ["deploy-bot", "tokenturn-other-6ad1bc7c-3a3c-1-1"];

/// Name of the provider object.
const NAME: &str = "cluster";

/// The Secret of its credential.
pub const CREDENTIAL: &str = "credential";

pub struct Contract {
    server: ContractServer,
    /// What calls of consumers are made with.
    client: reqwest::Client,
    lost_answer: LostAnswer,
    /// What a token of it consists of.
    values: Vec<String>,
    prepared: Prepared,
    template: String,
    /// Whether its list shows what it minted.
    is_listed: bool,
    misleads: AtomicBool,
}

/// What became of the tokens of a run.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Fingerprints of ours that are alive, and of all that there ever were.
    pub live: BTreeSet<String>,
    pub minted: BTreeSet<String>,
    /// What the names of ours say of object and rotation, by fingerprint.
    pub origins: BTreeMap<String, String>,
    /// How many creates the server has answered.
    pub creates: usize,
    /// How many of them asked for a nonce and minted nothing, and how many of them an attempt has.
    pub nonces: usize,
    pub for_each: usize,
    /// How often a refresh token was shown that was not good.
    pub refused_refreshes: usize,
    /// What is wrong whatever happened: tokens of others that are dead, requests that are not in the contract.
    pub wrong: Vec<String>,
}

impl Contract {
    /// Starts the server and mints tokens of somebody else.
    pub async fn start(example: Example) -> Result<Self, Failure> {
        let wire = example.wire;
        let server = ContractServer::start(wire).await?;
        let prepared = example.prepare(&server.url())?;
        let recipe = &prepared.recipe;
        server.store().behaviour.proofs = recipe.create.dpop;
        server.store().behaviour.lies = example.lies.to_vec();
        let compiled = compile::compile(recipe)
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let capabilities = compiled.capabilities();
        let account = match wire {
            Wire::GitLab => "shop/frontend",
            Wire::Licensing => "main",
            _ => "",
        };
        let mut template = String::new();
        for name in FOREIGN {
            let permissions = vec![json!("read_api")];
            let minted = server.store().mint(account, name, permissions, None).map(|token| token.value.clone());
            template = minted.map_err(|why| format!("no token of somebody else: {why:?}"))?;
        }
        Ok(Self {
            server,
            client: contract::client(),
            lost_answer: capabilities.lost_answer,
            values: capabilities.fields,
            prepared,
            template,
            is_listed: !example.lies.contains(&Lie::ListsNothing),
            misleads: AtomicBool::new(false),
        })
    }

    /// Lies from now on, until so long after the next call of an operation.
    pub fn lie_until(self: &Arc<Self>, lie: Lie, operation: Operation, span: Duration) {
        self.misleads.store(true, Ordering::Relaxed);
        self.server.store().behaviour.lies = vec![lie];
        let contract = self.clone();
        tokio::spawn(async move {
            contract.next_call(operation).await;
            tokio::time::sleep(span).await;
            contract.server.store().behaviour.lies.clear();
            contract.next_call(operation).await;
            contract.misleads.store(false, Ordering::Relaxed);
        });
    }

    async fn next_call(&self, operation: Operation) {
        let before = self.server.count(operation);
        while self.server.count(operation) == before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether it lies for a while, or nobody has called it again since.
    pub fn misleads(&self) -> bool {
        self.misleads.load(Ordering::Relaxed)
    }

    /// The next create is answered with an error, and carried out after this time.
    pub fn create_late(&self, span: Duration) {
        self.server.plan(Operation::Create, Fault::Late(span));
    }

    /// The provider object.
    pub fn provider(&self) -> Value {
        json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider",
            "metadata": {"name": NAME}, "spec": self.prepared.provider,
        })
    }

    /// What a token asks for.
    pub fn asked(&self) -> &BTreeMap<&'static str, Value> {
        &self.prepared.token
    }

    /// Which value each key of the target has: all that a token consists of, whatever workloads need, so that it can be judged as a whole.
    /// Consumers read the key `token`.
    pub fn target_data(&self) -> BTreeMap<&str, &str> {
        let has_token = self.values.iter().any(|name| name == "token");
        let only = self.values.first().filter(|_| !has_token).map(|name| ("token", name.as_str()));
        let all = self.values.iter().filter(|_| has_token).map(|name| (name.as_str(), name.as_str()));
        all.chain(only).collect()
    }

    /// The Secret of the operator's credential, with every key that an example names.
    pub fn credential(&self) -> Value {
        json!({
            "metadata": {"name": CREDENTIAL},
            "stringData": {
                "token": ADMIN, "username": ADMIN, "password": ADMIN, "userToken": ADMIN, "apiKey": ADMIN,
                "clientSecret": ADMIN,
                "template": self.template, "refreshToken": self.consent(),
            },
        })
    }

    /// Whether a token whose answer was lost cannot be ended but by its expiry.
    pub fn may_orphan(&self) -> bool {
        let ends_unseen =
            [LostAnswer::Repeat, LostAnswer::TellAndRepeat, LostAnswer::Human].contains(&self.lost_answer);
        ends_unseen || !self.is_listed
    }

    /// Whether what was left behind has to be told.
    pub fn tells(&self) -> bool {
        self.lost_answer == LostAnswer::TellAndRepeat || !self.is_listed
    }

    /// Whether a new token is made of the one before it, which that ends.
    pub fn is_in_place(&self) -> bool {
        self.prepared.recipe.in_place.as_ref().is_some_and(|in_place| !in_place.initial.is_empty())
    }

    /// What a person's consent at the provider gives.
    pub fn consent(&self) -> String {
        self.server.store().consent("", vec![json!("api:read")])
    }

    /// Whether a refresh token can be shown still.
    pub fn is_good(&self, refresh: &str) -> bool {
        self.server.store().good_refresh(refresh).is_some()
    }

    /// Whether what a target has beside the token belongs to it: the key that it is bound to, and what the next one is made of.
    pub fn is_whole(&self, target: &Value) -> bool {
        let [token, refresh, key] = ["token", "refresh", "dpopKey"].map(|key| value(target, key).unwrap_or_default());
        let store = self.server.store();
        let bound_to = store.find(&token).and_then(|token| token.bound_to.clone());
        let has_key = bound_to == ProofKey::from_jwk(&key).ok().map(|key| key.thumbprint());
        let binds = bound_to.is_some() == self.prepared.recipe.create.dpop;
        has_key && binds && (!self.is_in_place() || store.are_latest(&token, &refresh))
    }

    pub fn accepts(&self, value: &str) -> bool {
        self.server.accepts(value)
    }

    /// What became of the tokens up to now.
    pub fn account(&self) -> Account {
        let creates = [Operation::Create, Operation::Refresh].map(|operation| self.server.count(operation));
        let mut account = Account { creates: creates.iter().sum(), ..Account::default() };
        account.wrong.extend(self.server.strange().into_iter().map(|what| format!("{what} is not in the contract")));
        let store = self.server.store();
        account.nonces = store.nonces();
        account.for_each = if self.prepared.recipe.create.dpop { 2 } else { 1 };
        account.refused_refreshes = store.refused_refreshes();
        let mut names = BTreeMap::new();
        for token in (1..=store.minted() as u64).filter_map(|id| store.by_id(id)) {
            if token.id <= FOREIGN.len() as u64 {
                account.wrong.extend(token.is_over().then(|| format!("{} of somebody else was revoked", token.name)));
                continue;
            }
            *names.entry(&token.name).or_insert(0) += usize::from(!token.name.is_empty());
            let fingerprint = Token::new(&token.value).fingerprint();
            if !token.is_over() {
                account.live.insert(fingerprint.clone());
            }
            let origin = token.name.split_once("tokenturn-").and_then(|(_, rest)| rest.split_once('-'));
            let origin = origin.and_then(|(_, rest)| rest.rsplit_once('-')).map(|(origin, _)| origin.to_owned());
            account.origins.extend(origin.map(|origin| (fingerprint.clone(), origin)));
            account.minted.insert(fingerprint);
        }
        let twice = names.into_iter().filter(|(_, number)| *number > 1);
        account.wrong.extend(twice.map(|(name, number)| format!("{name} was minted {number} times")));
        account
    }
}

impl TokenUse for Contract {
    fn call<'a>(&'a self, _: &'a Seat, token: &'a Token) -> BoxFuture<'a, Called> {
        async move {
            match self.server.use_token(&self.client, token.reveal()).await {
                Ok(status) => Called::Answered(status),
                Err(why) => Called::Unanswered(why),
            }
        }
        .boxed()
    }
}

/// What containers call.
pub fn calls(contract: &Arc<Contract>) -> Arc<dyn TokenUse> {
    contract.clone()
}
