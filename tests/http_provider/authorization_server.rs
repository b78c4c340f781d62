//! A real authorization server: the npm package oidc-provider, with a client for each way to authenticate.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::{Value, json};

use crate::tls::text;

/// The client with a secret; both of its parts have what forms encode.
pub const CLIENT: &str = "svc:billing";
pub const SECRET: &str = "s%cret & more, 32 characters long";

/// Algorithm and key of the clients that sign assertions; their ids are the names of the algorithms.
pub const SIGNERS: [(&str, &str); 4] = [("RS256", "rsa"), ("PS256", "rsa"), ("ES256", "p256"), ("EdDSA", "ed25519")];

/// The server, until it is dropped: it ends with its standard input.
pub struct Server {
    process: Child,
    input: Option<ChildStdin>,
    pub url: String,
}

fn clients() -> Value {
    let mut clients = vec![
        json!({"client_id": CLIENT, "client_secret": SECRET}),
        json!({"client_id": "post", "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_post"}),
    ];
    clients.extend(SIGNERS.map(|(algorithm, key)| {
        json!({
            "client_id": algorithm, "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm, "public_key": text(&format!("{key}.pub")),
        })
    }));
    json!(clients)
}

impl Server {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// One that wants a nonce in proofs of possession.
    pub fn with_nonce() -> Self {
        Self::with(&["nonce"])
    }

    fn with(more: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers/oidc");
        let mut process = Command::new("node")
            .args(["server.mjs", &clients().to_string()])
            .args(more)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node, and the server that `tests/servers/build.sh oidc` puts into .servers/oidc");
        let input = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| line.parse::<u16>().ok()).expect("the server's port");
        Self { process, input, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input.take();
        // It ends by itself now; without this it would stay as a zombie.
        let _ = self.process.wait();
    }
}
