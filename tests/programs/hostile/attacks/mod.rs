//! The table of attacks: one row for each way in which a tenant, a provider or an odd pod was found to hurt others, or could.

mod accounts;
mod admin;
mod answers;
mod deletion;
mod names;
mod pods;
mod recipes;
mod secrets;
mod tokens;

use futures::future::LocalBoxFuture;

use super::{Failure, attacker::Field};

/// One attack.
pub struct Attack {
    pub name: &'static str,
    /// Of which finding it is the standing test.
    pub finding: &'static str,
    pub what: &'static str,
    pub run: Run,
}

type Run = Box<dyn for<'a> Fn(&'a Field<'a>) -> LocalBoxFuture<'a, Result<(), Failure>>>;

macro_rules! row {
    ($name:literal, $finding:literal, $what:literal, $function:path) => {
        Attack { name: $name, finding: $finding, what: $what, run: Box::new(|field| Box::pin($function(field))) }
    };
}

/// All rows, in the order in which they are run.
pub fn table() -> Vec<Attack> {
    vec![
        row!(
            "secret-target-forged",
            "12.1",
            "a Secret says it is the target of a victim's object",
            secrets::target_forged
        ),
        row!(
            "secret-bound-forged",
            "12.1",
            "a Secret says that a victim's token is bound to it",
            secrets::bound_forged
        ),
        row!("secret-copied", "12.1, S16", "a tool copies a victim's Secret with its labels", secrets::copied),
        row!("secret-adopted", "12.1", "an object adopts a Secret that says it is a victim's", secrets::adopted),
        row!("secret-long-names", "12.7", "annotations of 200 KB name owners that are nowhere", secrets::long_names),
        row!("secret-many-owners", "12.7", "hundreds of Secrets of owners that are nowhere", secrets::many_owners),
        row!("secret-flicker", "12.7", "labels that change many times a second", secrets::flicker),
        row!("name-query", "12.4", "names that are queries", names::query),
        row!("name-path", "12.4", "names that lead to other namespaces", names::path),
        row!("name-owner-path", "12.4", "owner names that are paths and queries", names::owner_path),
        row!("name-unicode", "12.4", "names of every script, with breaks and escapes", names::unicode),
        row!("name-account", "12.4", "a ServiceAccount whose name is a path", names::account),
        row!("name-rollout", "12.4", "workloads whose names are paths and queries", names::rollout),
        row!("recipe-nested-filters", "12.2", "a JSONPath of nested filters", recipes::nested_filters),
        row!("recipe-descendants", "12.3", "a JSONPath of many descendant segments", recipes::descendants),
        row!("recipe-long-path", "12.2", "a JSONPath of thousands of segments", recipes::long_path),
        row!("recipe-pattern", "12.2", "a regular expression in a filter that grows", recipes::pattern),
        row!("recipe-many", "12.2", "hundreds of providers that are no use", recipes::many),
        row!("record-parameters", "12.17", "parameters that make the record too large", recipes::large_parameters),
        row!("record-surplus", "12.17", "a token that is granted 30,000 permissions", recipes::surplus),
        row!("answer-nodes", "12.3", "answers of millions of small values", answers::nodes),
        row!("answer-deep", "12.3", "answers that are nested very deeply", answers::deep),
        row!("answer-endless", "12.3", "answers that do not end", answers::endless),
        row!("answer-raw", "12.3", "answers that are no HTTP", answers::raw),
        row!("answer-headers", "12.3", "answers with headers of any length", answers::headers),
        row!("answer-echo", "S7", "refusals that repeat the credential", answers::echo),
        row!("answer-values", "S7", "values that no Secret and no header can hold", answers::values),
        row!("answer-redirect", "12.9", "redirects into the cluster", answers::redirect),
        row!("answer-retry-after", "12.11", "pauses of any length", answers::retry_after),
        row!("answer-pages", "12.10", "pages without end", answers::pages),
        row!("answer-slow-lists", "12.10", "slow lists of many objects", answers::slow_lists),
        row!("answer-silence", "12.10, L6", "dozens of providers that say nothing", answers::silence),
        row!("answer-flapping", "12.5, D1", "a provider that forgets tokens for a moment", answers::flapping),
        row!("answer-lying", "D6, D8", "revokes that change nothing, expiries in the past", answers::lying),
        row!("pods-large", "12.6", "many pods of 28 KB beside rotations", pods::large),
        row!("pods-many-tokens", "12.6", "many pods and many tokens of one namespace", pods::many_tokens),
        row!("pods-odd", "12.6, B2", "pods with every field that names a Secret", pods::odd),
        row!("pods-come-and-go", "12.6", "pods that come and go while tokens rotate", pods::come_and_go),
        row!(
            "account-numbers",
            "12.12",
            "tokens of the account with a victim's name and huge numbers",
            accounts::numbers
        ),
        row!("account-look-alikes", "12.12, S8", "tokens of the account that look like ours", accounts::look_alikes),
        row!("account-token-limited", "12.11", "a 429 for one tenant's token", accounts::token_limited),
        row!("account-refused-twice", "12.5", "two momentary 401s for a victim's token", accounts::refused_twice),
        row!("admin-half-sent", "12.14", "thousands of half-sent requests to the admin address", admin::half_sent),
        row!("admin-large", "12.14", "large and endless requests to the admin address", admin::large),
        row!("token-rotate-now", "12.17", "rotate-now many times a second", tokens::rotate_now),
        row!(
            "token-come-and-go",
            "12.17",
            "objects that are made again and again under other names",
            tokens::come_and_go
        ),
        row!("token-finalizers", "12.17", "finalizers that are taken off and put on", tokens::finalizers),
        row!("token-one-secret", "12.17", "many objects that want one Secret", tokens::one_secret),
        row!("namespace-deleted", "12.8, B1", "a namespace goes with its credential", deletion::namespace),
    ]
}
