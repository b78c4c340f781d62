//! The place at a provider of which there is one, and what has it when a new token takes it.

/// What has the place that a new token takes: where a new token ends the old one, or displaces it. `T` is how a token is named: by its
/// serial in a decision, by its values in a request. Empty where tokens overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predecessor<T> {
    /// The token that is presented for the new one. Only one that is known to be alive: to present one that was used up can end its
    /// successors as well.
    pub presented: Option<T>,
    /// The token that has the place as far as the record knows, alive or not. What else is found there is another one.
    pub recorded: Option<T>,
    /// Another one that is found in the place can be ours, of an attempt whose answer was lost. Else it is somebody's, who has not asked us to
    /// publish it, or to revoke it later.
    pub may_be_ours: bool,
}

impl<T> Default for Predecessor<T> {
    fn default() -> Self {
        Self { presented: None, recorded: None, may_be_ours: false }
    }
}

impl<T> Predecessor<T> {
    /// The same, with tokens named in another way; one that has no such name is left out.
    pub fn named<U>(&self, name: impl Fn(&T) -> Option<U>) -> Predecessor<U> {
        Predecessor {
            presented: self.presented.as_ref().and_then(&name),
            recorded: self.recorded.as_ref().and_then(&name),
            may_be_ours: self.may_be_ours,
        }
    }
}
