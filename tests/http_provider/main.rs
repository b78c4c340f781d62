//! The recipes under `examples`, and those that are built in, each against a server that speaks as its provider: what every driver has to show.

mod calls;
mod faults;
mod in_place;
mod licensing;
mod oidc;
mod scene;
mod synoptic;
mod tokens;
