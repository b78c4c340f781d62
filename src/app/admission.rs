//! Who is served at the admin address: a bounded number of connections, for a bounded time, with small requests.
//!
//! A new connection is always taken, so that a probe gets its answer. Where there are too many, the oldest is closed for it: of those that
//! have asked for nothing yet, where these are the most, else of all. Who asks at once is done long before it is either.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// Connections at the same time. Kubelet and Prometheus need two.
const MOST_CONNECTIONS: usize = 128;

/// How long a request may take to come in.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

/// How long a connection may last, answer included. One request each: who wants more connects again.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Largest head of a request, and what is kept of an answer that is not read. The least that hyper takes.
const BUFFER: usize = 8192;

/// Most headers of a request.
const MOST_HEADERS: usize = 64;

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;

/// Listens at an address. `[::]` stands for all, of IPv6 and IPv4; where the machine has no IPv6, for all of IPv4.
///
/// # Errors
/// The address is in use, or not one of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_at(address) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && has_no_ipv6(&error) => {
            tracing::info!("this machine has no IPv6, listening on all addresses of IPv4");
            listen_at((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    }
}

/// The kernel knows no IPv6 (`EAFNOSUPPORT`), or it is switched off for every interface (`EADDRNOTAVAIL`).
fn has_no_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Linux's number of it; the standard library has no kind for it.
const EAFNOSUPPORT: i32 = 97;

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // Whatever the machine's default (`net.ipv6.bindv6only`) is.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `stop`, and then lets those finish who have asked.
///
/// # Errors
/// The socket failed.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let connections = Connections::default();
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Here and not in the task, so that they are known in the order in which they came.
                let entry = connections.enter();
                tasks.spawn(connections.clone().one(entry, stream, router.clone()));
                // Who has come gets to ask before the next one takes its place.
                tokio::task::yield_now().await;
            }
            // That of one connection, or no file descriptor is left: the next may succeed, soon.
            Err(error) => {
                tracing::debug!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.close_idle();
    tasks.close();
    let _ = tokio::time::timeout(SERVED_WITHIN, tasks.wait()).await;
    Ok(())
}

/// One that is open.
struct Open {
    close: CancellationToken,
    has_asked: Arc<AtomicBool>,
}

/// What a connection knows of itself.
struct Entry {
    number: u64,
    close: CancellationToken,
    has_asked: Arc<AtomicBool>,
}

/// Those that are open, in the order in which they came.
#[derive(Clone, Default)]
struct Connections(Arc<Mutex<(u64, BTreeMap<u64, Open>)>>);

impl Connections {
    /// Serves one connection until it is done, out of time, or in the way.
    async fn one(self, Entry { number, close, has_asked }: Entry, stream: TcpStream, router: Router) {
        let service = service_fn(move |request: Request<Incoming>| {
            has_asked.store(true, Ordering::Relaxed);
            router.clone().call(request)
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(ASKED_WITHIN)
            .max_buf_size(BUFFER)
            .max_headers(MOST_HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            () = close.cancelled() => {}
            // What went wrong is the other side's matter.
            _ = tokio::time::timeout(SERVED_WITHIN, served) => {}
        }
        self.lock().1.remove(&number);
    }

    /// Makes room for one more.
    fn enter(&self) -> Entry {
        let mut state = self.lock();
        let (next, open) = &mut *state;
        if open.len() >= MOST_CONNECTIONS {
            let idle = open.iter().filter(|(_, one)| !one.has_asked.load(Ordering::Relaxed));
            let idle: Vec<u64> = idle.map(|(number, _)| *number).collect();
            // A probe that has just come may be the only one that has not asked yet.
            let is_flood = idle.len() > MOST_CONNECTIONS / 2;
            let oldest = if is_flood { idle.first().copied() } else { open.keys().next().copied() };
            if let Some(one) = oldest.and_then(|number| open.remove(&number)) {
                one.close.cancel();
            }
        }
        *next += 1;
        let (close, has_asked) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        open.insert(*next, Open { close: close.clone(), has_asked: has_asked.clone() });
        Entry { number: *next, close, has_asked }
    }

    /// Closes those that have asked for nothing.
    fn close_idle(&self) {
        for one in self.lock().1.values().filter(|one| !one.has_asked.load(Ordering::Relaxed)) {
            one.close.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, BTreeMap<u64, Open>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn served(large: &'static str) -> (SocketAddr, CancellationToken) {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/healthz", get(|| async { "ok" })).route("/large", get(move || async move { large }));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, router, stop.clone()));
        (address, stop)
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may be refused before it is all there.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    const PROBE: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

    /// 8,000 requests that were begun and never finished took 158 MiB, each a connection for ever.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_probe_is_answered_while_others_only_begin_to_ask_or_do_not_read() {
        let (address, stop) = served("0123456789abcdef".repeat(1 << 18).leak()).await;
        let mut open = Vec::new();
        let mut took = Vec::new();
        for number in 0..600 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let half =
                if number % 4 == 0 { "GET /large HTTP/1.1\r\nHost: a\r\n\r\n" } else { "GET /healthz HTTP/1.1\r\nX: " };
            let _ = stream.write_all(half.as_bytes()).await;
            open.push(stream);
            if number % 100 == 99 {
                let asked = std::time::Instant::now();
                let answer = ask(address, PROBE).await;
                assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{number}: {answer}");
                took.push(asked.elapsed());
            }
        }
        // A busy machine may be late once.
        took.sort();
        assert!(took[took.len() / 2] < Duration::from_secs(1), "{took:?}");
        // What was closed says so; the rest follows when its time is over.
        let mut closed = 0;
        for stream in &mut open {
            let mut buffer = [0; 1 << 16];
            let end = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
            closed += usize::from(tokio::time::timeout(SERVED_WITHIN + ASKED_WITHIN, end).await.is_ok());
        }
        assert_eq!(closed, open.len());
        stop.cancel();
    }

    #[tokio::test]
    async fn what_is_too_large_or_no_request_is_refused() {
        let (address, stop) = served("").await;
        for wrong in [
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)),
            format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200)),
            "\u{16}\u{3}\u{1}".to_owned() + "\r\n\r\n",
        ] {
            let answer = ask(address, &wrong).await;
            assert!(!answer.contains(" 200 "), "{answer}");
        }
        assert!(ask(address, PROBE).await.ends_with("ok"));
        stop.cancel();
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_ipv4_too() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
        for (error, expected) in [
            (io::Error::from_raw_os_error(EAFNOSUPPORT), true),
            (io::ErrorKind::AddrNotAvailable.into(), true),
            (io::ErrorKind::AddrInUse.into(), false),
        ] {
            assert_eq!(has_no_ipv6(&error), expected, "{error}");
        }
    }
}
