//! An HTTP proxy: tunnels (`CONNECT`) and plain requests, for who shows the right user name and password.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// What the proxy does with whoever asks.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Who shows this user name and password gets through.
    Asks(&'static str, &'static str),
    /// Everybody gets through.
    Open,
    /// Nobody does, and is answered so.
    Answers(&'static str),
    /// Nobody is answered.
    Silent,
    /// The connection ends without an answer.
    Closes,
}

pub struct ForwardProxy {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    mood: Mutex<Mood>,
    asked: Mutex<Vec<String>>,
    passed: AtomicUsize,
}

/// A name that only the proxy resolves: to this machine (RFC 6761, section 6.4).
pub const BEHIND: &str = "provider.invalid";

impl ForwardProxy {
    pub async fn start(mood: Mood) -> Self {
        Self::with(mood, None).await
    }

    /// It speaks TLS itself.
    pub async fn encrypted(mood: Mood, acceptor: TlsAcceptor) -> Self {
        Self::with(mood, Some(acceptor)).await
    }

    async fn with(mood: Mood, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { mood: Mutex::new(mood), asked: Mutex::default(), passed: AtomicUsize::new(0) });
        let served = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, acceptor) = (served.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => shared.serve(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                shared.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, shared }
    }

    pub fn mood(&self, mood: Mood) {
        *lock(&self.shared.mood) = mood;
    }

    /// What was asked for since the last look, as it stood in the first line.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.asked))
    }

    /// How many got through.
    pub fn passed(&self) -> usize {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Shared {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Some(head) = head(&mut stream).await else { return };
        let (line, headers) = head.split_once("\r\n").unwrap();
        lock(&self.asked).push(line.to_owned());
        let mood = lock(&self.mood).clone();
        let refusal = match mood {
            Mood::Open => None,
            Mood::Asks(username, password) => {
                let shown = BASE64_STANDARD.encode(format!("{username}:{password}"));
                let wanted = format!("proxy-authorization: Basic {shown}");
                let is_shown = headers.split("\r\n").any(|header| header.eq_ignore_ascii_case(&wanted));
                (!is_shown).then_some("407 Proxy Authentication Required")
            }
            Mood::Answers(status) => Some(status),
            Mood::Silent => return std::future::pending().await,
            Mood::Closes => return,
        };
        if let Some(status) = refusal {
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let url = (method != "CONNECT").then(|| Url::parse(target).unwrap());
        let address = match &url {
            None => target.to_owned(),
            Some(url) => format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap()),
        };
        let Ok(mut inside) = TcpStream::connect(address.replace(BEHIND, "127.0.0.1")).await else { return };
        self.passed.fetch_add(1, Ordering::SeqCst);
        let sent = match url {
            None => stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await,
            Some(url) => {
                let first = format!("{method} {} HTTP/1.1\r\n", &url[url::Position::BeforePath..]);
                inside.write_all(format!("{first}{headers}").as_bytes()).await
            }
        };
        if sent.is_ok() {
            let _ = copy_bidirectional(&mut stream, &mut inside).await;
        }
    }
}

/// The first line and the headers, as they came.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
