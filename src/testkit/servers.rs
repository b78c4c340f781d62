//! Where the server binaries are, and which ports they may use.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};

use super::Error;

/// Below the range from which Linux takes ports for outgoing connections, so that nobody gets the
/// port by chance between the check and the start of the server.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Finds a server in `KUBEBUILDER_ASSETS`, else in the project's own folder. Helm may also be named by `HELM` or be on
/// `PATH`. `tests/servers/build.sh` looks in the same places before it builds.
pub fn find(name: &str) -> Result<PathBuf, Error> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers").join(name);
    let helm = std::env::var_os("HELM").filter(|_| name == "helm").and_then(|named| on_path(Path::new(&named)));
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| PathBuf::from(folder).join(name));
    // The scheduler and the controller manager are not in every archive of the ecosystem.
    let candidates = helm.into_iter().chain(assets).chain([built.clone()]);
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| on_path(Path::new(name)).filter(|_| name == "helm"))
        .ok_or_else(|| Error::MissingBinary { name: name.to_owned(), path: built })
}

/// What a shell would start under this name.
fn on_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Different loopback ports that are free now.
pub fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let mut taken = Vec::new();
    for _ in 0..200 {
        let [high, low] = random::<2>();
        let port = PORTS.start + u16::from_be_bytes([high, low]) % (PORTS.end - PORTS.start);
        // Held until all are found, so that no two are the same.
        taken.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|listener| (port, listener)));
        if taken.len() == N {
            return Ok(std::array::from_fn(|index| taken[index].0));
        }
    }
    Err(Error::invalid("find free ports", "nearly all of 200 ports were taken"))
}

/// Random lower-case hex text for names and test credentials.
pub fn random_hex() -> String {
    random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has a random number generator");
    bytes
}
