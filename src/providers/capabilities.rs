//! What a provider can do; the protocol is chosen by it.

use std::time::Duration;

/// How a provider lets a token be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Old and new are valid together until the old one is revoked.
    Overlap,
    /// The provider ends the old token itself when it issues the new one.
    InPlace,
    /// Short-lived and not revocable: minted early, never revoked.
    Reissue,
}

/// What the provider needs to revoke a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeBy {
    Id,
    Name,
    Value,
    BoundObject,
    Nothing,
}

/// How tokens of the provider end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They do not.
    None,
    /// After a time that we ask for and the server may shorten.
    Requested,
    /// After a time that the server fixes.
    Fixed,
}

/// How a crash or a lost answer after a create is survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostAnswer {
    /// The lost token is found by listing and revoked.
    ListAndRevoke,
    /// The lost token is found by listing, and revoked where the list shows its value; else a user has to act.
    ListAndRevokeIfShown,
    /// The value can be read again or was chosen by us.
    Recover,
    /// Another one is minted and the lost one expires.
    Repeat,
    /// The same; what appeared at the account meanwhile is reported.
    TellAndRepeat,
    /// Another one is minted; the name of the lost one is reported.
    TellItsName,
    /// The next attempt replaces it.
    ReplaceAgain,
    /// It must never be repeated; a user has to act.
    Human,
}

/// What a provider can do; the protocol is chosen by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub strategy: Strategy,
    pub revoke_by: RevokeBy,
    pub expiry: Expiry,
    pub lost_answer: LostAnswer,
    /// Whether a name of ours can be given at creation and found again.
    pub label: bool,
    /// Whether it is seen when a token may do more than was asked for.
    pub shows_surplus: bool,
    /// Whether the provider says when a token was used last.
    pub tells_last_use: bool,
    /// Names of the values of a token set.
    pub fields: Vec<String>,
    /// How long a new token may take to become usable.
    pub activation: Duration,
    /// How long a revoked token may go on being accepted; the first verification that it is dead waits this long.
    pub propagation: Duration,
}
