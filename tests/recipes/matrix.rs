//! What each provider can do, as the code says it, in `docs/providers/README.md`. `UPDATE=1` writes it anew.

use std::{fs, path::Path, time::Duration};

use tokenturn::{
    api::{Backend, HttpProvider, OAuth2Provider},
    providers::{
        Capabilities, Expiry, LostAnswer, RevokeBy, Strategy,
        builtin::{
            self,
            oauth2::{
                metadata::{Endpoints, Issuer},
                recipe::recipe,
            },
        },
        http::recipe::compile,
        kubernetes,
    },
};

const BEGIN: &str = "<!-- from the code -->\n";
const END: &str = "<!-- to here -->\n";

fn row(name: &str, Capabilities { strategy, revoke_by, expiry, lost_answer, fields, .. }: Capabilities) -> String {
    let strategy = match strategy {
        Strategy::Overlap => "overlap",
        Strategy::InPlace => "in place",
        Strategy::Reissue => "minted anew, never revoked",
    };
    let revoke_by = match revoke_by {
        RevokeBy::Id => "id",
        RevokeBy::Name => "name",
        RevokeBy::Value => "value",
        RevokeBy::BoundObject => "bound object",
        RevokeBy::Nothing => "-",
    };
    let expiry = match expiry {
        Expiry::None => "none",
        Expiry::Requested => "as asked for",
        Expiry::Fixed => "as the provider says",
    };
    let lost_answer = match lost_answer {
        LostAnswer::ListAndRevoke => "found by its name and revoked",
        LostAnswer::ListAndRevokeIfShown => "found by its name, revoked if its value is shown, else reported",
        LostAnswer::Recover => "read again",
        LostAnswer::Repeat => "ends when it expires",
        LostAnswer::TellAndRepeat => "reported, ends when it expires",
        LostAnswer::TellItsName => "reported by its name, for an administrator to delete",
        LostAnswer::ReplaceAgain => "replaced by the next attempt",
        LostAnswer::Human if strategy == "in place" => "reported, an administrator gives a new first token",
        LostAnswer::Human => "told, for a person to revoke",
    };
    format!("| {name} | {strategy} | {revoke_by} | {expiry} | {lost_answer} | {} |\n", fields.join(", "))
}

/// The examples that are of a provider with a recipe, its own or a built-in one.
fn examples() -> Vec<(String, Backend)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.split("\n---\n").next().unwrap();
        let object: serde_json::Value = serde_norway::from_str(first).unwrap();
        let Ok(backend) = serde_json::from_value::<Backend>(object["spec"].clone()) else { continue };
        if backend.http.is_some() || backend.oauth2.is_some() || builtin::recipe(&backend).is_some() {
            let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            found.push((name, backend));
        }
    }
    found
}

fn of_oauth2(settings: &OAuth2Provider) -> HttpProvider {
    let endpoints = match (&settings.issuer, &settings.endpoints) {
        (Some(issuer), _) => Issuer::parse(issuer).unwrap().stand_ins(),
        (None, said) => Endpoints::parse(said.as_ref().unwrap()).unwrap(),
    };
    recipe(settings, &endpoints, Duration::from_secs(10)).unwrap()
}

fn table() -> String {
    let mut table =
        "| provider | strategy | revoked by | expiry | a token whose answer was lost | values |\n".to_owned();
    table.push_str("| --- | --- | --- | --- | --- | --- |\n");
    table.push_str(&row("[`kubernetes`](../permissions.md)", kubernetes::capabilities()));
    for (name, backend) in examples() {
        let recipe = match (&backend.http, &backend.oauth2) {
            (Some(recipe), _) => (**recipe).clone(),
            (None, Some(settings)) => of_oauth2(settings),
            (None, None) => builtin::recipe(&backend).expect("a provider of this version").1.expect("that works"),
        };
        let compiled = compile::compile(&recipe).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"));
        let shown = name.trim_start_matches("http/").trim_end_matches(".yaml");
        table.push_str(&row(&format!("[{shown}](../../examples/{name})"), compiled.capabilities()));
    }
    table
}

#[test]
fn the_documented_matrix_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers/README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the matrix");
    let (shown, after) = rest.split_once(END).expect("the end of the matrix");
    let table = table();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(shown, table, "UPDATE=1 cargo test --test recipes writes it anew");
    }
}
