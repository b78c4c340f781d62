//! The recipes under `examples/http`, each against a server that speaks as its provider: what every driver has to show.

mod calls;
mod faults;
mod oidc;
mod scene;
mod tokens;
