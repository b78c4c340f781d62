//! The recipes under `examples`, and those that are built in, each against a server that speaks as its provider: what
//! every driver has to show.

mod admin_tokens;
mod authorization_server;
mod calls;
mod certificates;
mod client_secrets;
mod dpop;
mod extremes;
mod faults;
mod forward_proxy;
mod hostile;
mod in_place;
mod keycloak;
mod licensing;
mod lies;
mod oauth2;
mod obtained;
mod oidc;
mod proxy;
mod scene;
mod synoptic;
mod tls;
mod tokens;
mod typed;
