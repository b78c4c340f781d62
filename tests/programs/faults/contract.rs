//! The server of an HTTP provider in one run: what the operator is given for it, who calls it, and what became of its tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokenturn::{
    api::{Backend, GoDuration, provider::http::SecretReference},
    providers::{LostAnswer, builtin, http::compile},
    testkit::{
        Outcome as Called, Seat, Token,
        consumer::TokenUse,
        contract::{self, ADMIN, ContractServer, Operation, Wire},
        install,
    },
};

use super::Failure;

/// Tokens of somebody else, with a name that could be ours at another installation.
const FOREIGN: [&str; 2] = ["deploy-bot", "tokenturn-other-6ad1bc7c-3a3c-1-1"];

/// Name of the provider object.
const NAME: &str = "cluster";

/// The Secret of its credential.
const CREDENTIAL: &str = "credential";

pub struct Contract {
    server: ContractServer,
    /// What calls of consumers are made with.
    client: reqwest::Client,
    lost_answer: LostAnswer,
    /// The provider's spec and the parts of the token's spec that belong to it.
    provider: Value,
    token: Value,
    template: String,
}

/// What became of the tokens of a run.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Fingerprints of ours that are alive, and of all that there ever were.
    pub live: BTreeSet<String>,
    pub minted: BTreeSet<String>,
    /// How many creates the server has carried out.
    pub creates: usize,
    /// What is wrong whatever happened: tokens of others that are dead, requests that are not in the contract.
    pub wrong: Vec<String>,
}

/// The example that says how a provider is used.
fn example(wire: Wire) -> Result<&'static str, Failure> {
    Ok(match wire {
        Wire::GitLab => "http/gitlab-project-token",
        Wire::OAuth2 => "http/oauth2-client-credentials",
        Wire::Licensing => "licensing/access-token",
        Wire::Synoptic => "synoptic/public-token",
        other => return Err(format!("no scenario is about {other:?}").into()),
    })
}

impl Contract {
    /// Starts the server and mints tokens of somebody else.
    pub async fn start(wire: Wire) -> Result<Self, Failure> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{}.yaml", example(wire)?));
        let documents: Vec<Value> =
            install::documents(&std::fs::read_to_string(path)?)?.iter().map(|object| json!(object)).collect();
        let [provider, token] = documents.as_slice() else { return Err("an example has two objects".into()) };
        let backend: Backend = serde_json::from_value(provider["spec"].clone())?;
        let built_in = builtin::recipe(&backend).map(|(_, recipe)| recipe).transpose();
        let recipe = built_in.map_err(|mistakes| mistakes.join("; "))?.or(backend.http.map(|recipe| *recipe));
        let mut recipe = recipe.ok_or("an example has a recipe")?;
        let server = ContractServer::start(wire).await?;
        recipe.base_url = server.url();
        // A minute would be waited in every run.
        if recipe.propagation.is_some() {
            recipe.propagation = Some("1s".parse::<GoDuration>()?);
        }
        if let Some(credential) = &mut recipe.credential {
            credential.secret_ref = Some(SecretReference { name: CREDENTIAL.to_owned() });
        }
        let compiled = compile::compile(&recipe)
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
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
            lost_answer: compiled.capabilities().lost_answer,
            provider: json!({"http": recipe}),
            token: json!({
                "permissions": token["spec"]["permissions"],
                "parameters": token["spec"]["parameters"],
            }),
            template,
        })
    }

    /// The provider object.
    pub fn provider(&self) -> Value {
        json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider",
            "metadata": {"name": NAME}, "spec": self.provider,
        })
    }

    /// What a token asks for.
    pub fn asked(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.token.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.as_str(), v))
    }

    /// The Secret of the operator's credential, with every key that an example names.
    pub fn credential(&self) -> Value {
        json!({
            "metadata": {"name": CREDENTIAL},
            "stringData": {
                "token": ADMIN, "username": ADMIN, "password": ADMIN, "userToken": ADMIN, "apiKey": ADMIN,
                "template": self.template,
            },
        })
    }

    /// Whether a token whose answer was lost cannot be ended but by its expiry.
    pub fn leaves_behind(&self) -> bool {
        matches!(self.lost_answer, LostAnswer::Repeat | LostAnswer::TellAndRepeat)
    }

    /// Whether what was left behind has to be told.
    pub fn tells(&self) -> bool {
        self.lost_answer == LostAnswer::TellAndRepeat
    }

    pub fn accepts(&self, value: &str) -> bool {
        self.server.accepts(value)
    }

    /// What became of the tokens up to now.
    pub fn account(&self) -> Account {
        let mut account = Account { creates: self.server.count(Operation::Create), ..Account::default() };
        account.wrong.extend(self.server.strange().into_iter().map(|what| format!("{what} is not in the contract")));
        let store = self.server.store();
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
