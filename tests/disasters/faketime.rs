//! A wall clock of the operator's own: libfaketime, for the whole process. The monotonic clock stays what it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// No authority: rustls accepts none as a server's certificate.
const REQUEST: &str = "
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = 127.0.0.1
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:kubernetes.default.svc
";

/// The library; installed when it is missing and this is root. Without it there is nothing to test, except where CI asks.
pub fn library() -> Option<PathBuf> {
    let found = || PLACES.into_iter().map(PathBuf::from).find(|path| path.is_file());
    let library = found().or_else(|| {
        let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        let mut install = Command::new("apt-get");
        install.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "-qq", "libfaketime"]);
        (is_root && install.output().is_ok_and(|done| done.status.success())).then(found)?
    });
    if library.is_none() {
        let what =
            "SKIPPED: libfaketime is missing, so no clock can be set; install it (Debian: apt-get install libfaketime)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
        eprintln!("{what}");
    }
    library
}

/// Certificate and key of an API server that is older than any clock of these tests: one made today is not valid yet for
/// somebody whose clock is a month late. `None` without the library, which makes them old.
pub fn old_certificate() -> Result<Option<(String, String)>, Box<dyn std::error::Error>> {
    let Some(library) = library() else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let [certificate, key] = ["apiserver.crt", "apiserver.key"].map(|name| folder.path().join(name));
    let request = folder.path().join("request");
    fs::write(&request, REQUEST)?;
    let output = Command::new("openssl")
        .env("LD_PRELOAD", library)
        .env("FAKETIME", "-90d")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "400", "-config"])
        .arg(&request)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(Some((fs::read_to_string(certificate)?, fs::read_to_string(key)?)))
}

/// The clock of one process: a file that libfaketime reads again at each call.
pub struct Clock(PathBuf);

impl Clock {
    /// A clock that is right, in a folder of the test.
    pub fn right(folder: &Path, name: &str) -> std::io::Result<Self> {
        let clock = Self(folder.join(format!("{name}.clock")));
        clock.set("+0")?;
        Ok(clock)
    }

    /// How far it is off, as `+30d`.
    pub fn set(&self, offset: &str) -> std::io::Result<()> {
        let new = self.0.with_extension("new");
        fs::write(&new, offset)?;
        fs::rename(new, &self.0)
    }

    /// Environment of the process that has this clock.
    pub fn env(&self, library: &Path) -> [(String, String); 4] {
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}
