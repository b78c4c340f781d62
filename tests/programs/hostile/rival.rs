//! A provider endpoint that the attacker owns: it answers as it likes, or as a provider should.
//!
//! Each attack has a path of its own below the same address. Where nothing else was said it is a provider that mints, lists, verifies and
//! revokes as the recipe of [`Rival::recipe`] says; so a run can clean up behind every attack.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Failure, canary::CANARY};

/// Largest request that is read.
const MAX_REQUEST: usize = 4 << 20;

/// A request as an answer may depend on it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    /// Below the path of the attack, with the query.
    pub path: String,
    pub authorization: String,
    pub body: Value,
}

/// What is sent back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, headers, body, and how long it takes.
    Http(u16, Vec<(String, String)>, Vec<u8>, Duration),
    /// A body that does not end: this piece again and again.
    Endless(Vec<u8>),
    /// These bytes as they are, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes one by one, with this time between.
    Dripping(Vec<u8>, Duration),
    /// The head of an answer and then nothing, as long as the other side waits.
    Half,
    /// Nothing at all, as long as the other side waits.
    Silence,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Http(status, Vec::new(), body.to_string().into_bytes(), Duration::ZERO)
    }
}

type Behaviour = Arc<dyn Fn(&Asked, &mut Tokens) -> Option<Reply> + Send + Sync>;

/// What a path of the endpoint remembers.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    pub minted: usize,
    /// Value and name of what is alive, by id.
    pub alive: HashMap<String, (String, String)>,
}

#[derive(Default)]
struct Place {
    behaviour: Option<Behaviour>,
    tokens: Tokens,
    asked: usize,
}

#[derive(Default)]
struct Shared {
    places: Mutex<HashMap<String, Place>>,
}

/// The endpoint; it ends with the runtime.
#[derive(Clone)]
pub struct Rival {
    shared: Arc<Shared>,
    port: u16,
}

impl Rival {
    pub async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                // A connection that breaks is the other side's business.
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Ok(Self { shared, port })
    }

    /// The address of an attack's path.
    pub fn url(&self, place: &str) -> String {
        format!("http://127.0.0.1:{}/{place}", self.port)
    }

    /// Answers below a path like this from now on; what it leaves to nobody is answered as a provider should.
    pub fn behave(
        &self,
        place: &str,
        behaviour: impl Fn(&Asked, &mut Tokens) -> Option<Reply> + Send + Sync + 'static,
    ) {
        self.lock().entry(place.to_owned()).or_default().behaviour = Some(Arc::new(behaviour));
    }

    /// Is a provider as it should be below every path that begins like this.
    pub fn oblige(&self, place: &str) {
        for (_, known) in self.lock().iter_mut().filter(|(name, _)| name.starts_with(place)) {
            known.behaviour = None;
        }
    }

    /// How often it was asked below a path.
    pub fn asked(&self, place: &str) -> usize {
        self.lock().get(place).map_or(0, |place| place.asked)
    }

    /// How many tokens were minted below a path.
    pub fn minted(&self, place: &str) -> usize {
        self.lock().get(place).map_or(0, |place| place.tokens.minted)
    }

    /// The recipe of a provider below a path, without its `spec`.
    pub fn recipe(&self, place: &str) -> Value {
        json!({
            "baseUrl": self.url(place),
            "credential": {
                "secretRef": {"name": "credential"}, "headers": {"Authorization": "Bearer ${credential.token}"},
            },
            "create": {
                "request": {"method": "POST", "path": "/tokens", "json": {"name": "${name}"}},
                "values": {"token": "$.token"},
                "id": "$.id",
            },
            "list": {"request": {"path": "/tokens"}, "items": "$.items[*]", "name": "$.name", "id": "$.id"},
            "verify": {"request": {"path": "/self", "headers": {"Authorization": "Bearer ${token.values.token}"}}},
            "revoke": {"request": {"method": "DELETE", "path": "/tokens/${token.id}"}},
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, place: &str, asked: &Asked) -> Reply {
        let mut places = self.lock();
        let Place { behaviour, tokens, asked: count } = places.entry(place.to_owned()).or_default();
        *count += 1;
        let wanted = behaviour.as_ref().and_then(|behaviour| behaviour(asked, tokens));
        wanted.unwrap_or_else(|| tokens.oblige(asked))
    }
}

impl Tokens {
    /// The answer of a provider as it should be.
    pub fn oblige(&mut self, asked: &Asked) -> Reply {
        let path = asked.path.split('?').next().unwrap_or_default();
        match (asked.method.as_str(), path) {
            ("POST", "/tokens") => {
                self.minted += 1;
                let id = self.minted.to_string();
                let value = format!("{CANARY}-rival-{id}-{:x}", std::process::id());
                let name = asked.body["name"].as_str().unwrap_or_default().to_owned();
                self.alive.insert(id.clone(), (value.clone(), name.clone()));
                Reply::json(201, &json!({"id": id, "token": value, "name": name}))
            }
            ("GET", "/tokens") => {
                let items = self.alive.iter().map(|(id, (_, name))| json!({"id": id, "name": name}));
                Reply::json(200, &json!({"items": items.collect::<Vec<_>>()}))
            }
            ("GET", "/self") => {
                let shown = asked.authorization.strip_prefix("Bearer ").unwrap_or_default();
                let is_alive = self.alive.values().any(|(value, _)| value == shown);
                Reply::json(if is_alive { 200 } else { 401 }, &json!({"active": is_alive}))
            }
            ("DELETE", path) => {
                let id = path.strip_prefix("/tokens/").unwrap_or_default();
                Reply::json(if self.alive.remove(id).is_some() { 204 } else { 404 }, &json!({}))
            }
            _ => Reply::json(404, &json!({})),
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let Some((place, asked)) = read(&mut stream).await? else { return Ok(()) };
    match shared.reply(&place, &asked) {
        Reply::Http(status, headers, body, wait) => {
            tokio::time::sleep(wait).await;
            let mut head =
                format!("HTTP/1.1 {status} Whatever\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all((head + "\r\n").as_bytes()).await?;
            // What has no body has none, whatever was said.
            stream.write_all(if status == 204 { b"" } else { &body }).await?;
        }
        Reply::Endless(piece) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await?,
        Reply::Dripping(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Reply::Half => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await?;
            gone(&mut stream).await?;
        }
        Reply::Silence => gone(&mut stream).await?,
    }
    stream.shutdown().await
}

/// Waits until the other side has left.
async fn gone(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 64];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// The first segment of the path, and the request below it.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<(String, Asked)>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > MAX_REQUEST || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |wanted: &str| {
        let lines = text.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned()).next()
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or_default();
    while bytes.len() < (head + 4 + length).min(MAX_REQUEST) && stream.read_buf(&mut bytes).await? > 0 {}
    let mut first = text.lines().next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default().trim_start_matches('/');
    let (place, path) = target.split_once('/').unwrap_or((target, ""));
    let asked = Asked {
        method,
        path: format!("/{path}"),
        authorization: header("authorization").unwrap_or_default(),
        body: serde_json::from_slice(&bytes[head + 4..]).unwrap_or_default(),
    };
    Ok(Some((place.to_owned(), asked)))
}
