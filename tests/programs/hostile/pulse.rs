//! The pulse of the operator's process, felt all the time from threads of its own: whether `/healthz` answers, how much memory it uses.
//!
//! A machine that is too busy to answer anybody is told apart by a second server, in this process, that is asked at the same moments.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const PROBE_EVERY: Duration = Duration::from_millis(100);

const READ_MEMORY_EVERY: Duration = Duration::from_millis(25);

/// Longest wait for an answer; what takes longer counts as this.
const PROBE_LIMIT: Duration = Duration::from_secs(15);

/// When the second server needs this long, a late answer of the operator says nothing about it.
const BUSY_MACHINE: Duration = Duration::from_millis(250);

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    pub port: u16,
    pub pid: u32,
}

/// What was seen since the last [`Pulse::begin`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The longest that `/healthz` took.
    pub healthz: Duration,
    /// Probes that were not answered with 200 at all.
    pub unanswered: usize,
    /// Most resident memory.
    pub peak_kib: u64,
    /// The latest reading.
    pub now_kib: u64,
    /// Probes that do not count, because this machine was busy.
    pub skipped: usize,
}

struct Shared {
    watched: Mutex<Option<Watched>>,
    seen: Mutex<Seen>,
    /// Whether the kernel's note of the most memory is of the same time as what is seen.
    is_exact: AtomicBool,
    /// Since when the probe that is on its way waits for its answer.
    asking: Mutex<Option<Instant>>,
    ended: AtomicBool,
}

/// The threads end when this is dropped.
pub struct Pulse {
    shared: Arc<Shared>,
}

impl Pulse {
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            watched: Mutex::new(None),
            seen: Mutex::default(),
            is_exact: AtomicBool::new(false),
            asking: Mutex::new(None),
            ended: AtomicBool::new(false),
        });
        let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = control.local_addr()?;
        thread::spawn(move || answer(&control));
        let probing = shared.clone();
        thread::spawn(move || probing.probe(address));
        let reading = shared.clone();
        thread::spawn(move || reading.read_memory());
        Ok(Self { shared })
    }

    /// Watches another process, or none.
    pub fn watch(&self, process: Option<Watched>) {
        self.reset(process);
        *lock(&self.shared.watched) = process;
    }

    fn reset(&self, process: Option<Watched>) {
        // Where the kernel's note may not be reset, what is read all the time has to do.
        let written =
            process.is_some_and(|Watched { pid, .. }| fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok());
        self.shared.is_exact.store(written, Ordering::Relaxed);
    }

    /// Forgets what was seen, also the kernel's note of the most memory.
    pub fn begin(&self) {
        let process = *lock(&self.shared.watched);
        self.reset(process);
        let mut seen = lock(&self.shared.seen);
        *seen = Seen { now_kib: seen.now_kib, peak_kib: seen.now_kib, ..Seen::default() };
    }

    /// A probe that waits for its answer still counts as far as it has waited.
    pub fn seen(&self) -> Seen {
        let seen = *lock(&self.shared.seen);
        let waits = lock(&self.shared.asking).map_or(Duration::ZERO, |since| since.elapsed());
        Seen { healthz: seen.healthz.max(waits), ..seen }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn probe(&self, control: SocketAddr) {
        while !self.ended.load(Ordering::Relaxed) {
            thread::sleep(PROBE_EVERY);
            let Some(watched) = *lock(&self.watched) else { continue };
            let other = thread::spawn(move || asked(control).1);
            *lock(&self.asking) = Some(Instant::now());
            let (ok, took) = asked((Ipv4Addr::LOCALHOST, watched.port).into());
            *lock(&self.asking) = None;
            let machine = other.join().unwrap_or(PROBE_LIMIT);
            // One that was exchanged or has ended meanwhile is judged by that.
            let is_same = lock(&self.watched).is_some_and(|now| now.pid == watched.pid);
            if !is_same || !std::path::Path::new(&format!("/proc/{}/exe", watched.pid)).exists() {
                continue;
            }
            let mut seen = lock(&self.seen);
            if machine > BUSY_MACHINE {
                seen.skipped += 1;
                continue;
            }
            seen.healthz = seen.healthz.max(took);
            seen.unanswered += usize::from(!ok);
        }
    }

    fn read_memory(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            thread::sleep(READ_MEMORY_EVERY);
            let Some(Watched { pid, .. }) = *lock(&self.watched) else { continue };
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
            let kib = |field: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(field))?;
                line.split_whitespace().next()?.parse::<u64>().ok()
            };
            let Some(now) = kib("VmRSS:") else { continue };
            let noted = kib("VmHWM:").filter(|_| self.is_exact.load(Ordering::Relaxed));
            let mut seen = lock(&self.seen);
            seen.now_kib = now;
            seen.peak_kib = seen.peak_kib.max(noted.unwrap_or(now));
        }
    }
}

/// One request on a connection of its own: whether it was answered with 200, and how long that took.
fn asked(address: SocketAddr) -> (bool, Duration) {
    let started = Instant::now();
    let exchange = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PROBE_LIMIT)?;
        stream.set_read_timeout(Some(PROBE_LIMIT))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"))
    };
    (exchange().unwrap_or(false), started.elapsed())
}

/// The second server: answers everybody at once.
fn answer(listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut buffer = [0; 256];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
