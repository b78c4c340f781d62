//! The recipe of OAuth 2.0 against a real authorization server.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::json;
use tokenturn::{
    core::token::{Liveness, Verification},
    providers::Class,
    testkit::contract::Wire,
};

use crate::scene::Scene;

const CLIENT: &str = "svc:billing";
const SECRET: &str = "s%cret & more, 32 characters long";

/// The server, until it is dropped: it ends with its standard input.
struct Server {
    process: Child,
    _input: Option<ChildStdin>,
    url: String,
}

impl Server {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers/oidc");
        let mut process = Command::new("node")
            .args(["server.mjs", CLIENT, SECRET])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node, and the server that `make servers` puts into .servers/oidc");
        let input = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| line.parse::<u16>().ok()).expect("the server's port");
        Self { process, _input: input, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self._input.take();
        // It ends by itself now; without this it would stay as a zombie.
        let _ = self.process.wait();
    }
}

async fn scene(server: &Server, secret: &str, scopes: &[&str]) -> Scene {
    let mut scene = Scene::new(Wire::OAuth2).await;
    let permissions = ["api:read", "api:write", "api:none"].map(|name| json!({"name": name}));
    scene.mend(|recipe| {
        recipe["baseUrl"] = json!(server.url);
        recipe["permissions"] = json!(permissions);
    });
    scene.source.specification.permissions = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    scene.credential(json!({"username": CLIENT, "password": secret})).await;
    scene
}

#[tokio::test]
async fn tokens_of_a_real_authorization_server_are_minted_tried_and_revoked() {
    let server = Server::start();
    let scene = scene(&server, SECRET, &["api:read"]).await;
    let (old, old_minted) = scene.mint(1).await;
    let (new, new_minted) = scene.mint(2).await;
    assert!(old.expires_at.is_some_and(|at| at > jiff::Timestamp::now()));
    let works = Verification::Works { surplus: vec![], expires_at: None };
    assert_eq!(scene.verify(&old_minted).await.unwrap(), works);
    scene.revoke(&old, Some(&old_minted)).await.unwrap();
    assert_eq!(scene.liveness(&old, Some(&old_minted)).await.unwrap(), Liveness::Dead);
    assert_eq!(scene.liveness(&new, Some(&new_minted)).await.unwrap(), Liveness::Alive);
    scene.revoke(&old, Some(&old_minted)).await.expect("revoked is revoked");
}

/// The server leaves out what it does not know and says nothing: the introspection shows it.
#[tokio::test]
async fn a_scope_that_was_left_out_is_missed() {
    let server = Server::start();
    let scene = scene(&server, SECRET, &["api:read", "api:none"]).await;
    match scene.create(1).await {
        Ok(minted) => {
            let found = scene.verify(&minted).await.unwrap();
            assert_eq!(found, Verification::Insufficient { missing: vec!["api:none".into()] });
        }
        Err(error) => assert_eq!(error.class(), Class::Invalid, "{error}"),
    }
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_such() {
    let server = Server::start();
    let scene = scene(&server, "wrong", &["api:read"]).await;
    let error = scene.create(1).await.unwrap_err();
    assert!(error.class() == Class::Unauthorized && error.to_string().contains("oauth2-client"), "{error}");
}
