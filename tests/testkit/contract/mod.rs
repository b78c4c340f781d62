//! The server that speaks as providers do, called as their documentation says and by no driver.

mod call;
mod every;
mod fossa;
mod keycloak;
mod licensing;
mod limits;
mod oauth2;
mod okta;
mod proofs;
mod rows;
mod synoptic;
