//! Whom a provider serves: each tenant has one credential, from which its access tokens come.

use super::{Store, fastrand};

/// A tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub name: String,
    /// What access tokens are given for.
    pub user_token: String,
    pub licence_key: String,
    /// Whether its own licence of the provider has run out.
    pub is_expired: bool,
    /// What its User Token may do, in the provider's words.
    pub permissions: Vec<String>,
    /// User Tokens that the provider gave out itself.
    pub(super) given: Vec<String>,
}

impl Tenant {
    pub fn new(name: &str, user_token: &str) -> Self {
        Self {
            name: name.to_owned(),
            user_token: user_token.to_owned(),
            licence_key: format!("LICENCE-{name}"),
            is_expired: false,
            permissions: ["View Products", "Edit User Tokens"].map(str::to_owned).to_vec(),
            given: Vec::new(),
        }
    }

    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|one| one == permission)
    }
}

impl Store {
    pub fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.name == name)
    }

    /// Whose access token is accepted now.
    pub fn tenant_of(&self, access: &str) -> Option<&Tenant> {
        self.tenant(&self.accepted(access)?.account)
    }

    /// Gives a tenant another User Token; the former is dead at once, with all that was given for it.
    pub fn replace_user_token(&mut self, name: &str) -> Option<String> {
        let tenant = self.tenants.iter_mut().find(|tenant| tenant.name == name)?;
        let value = format!("canary-user-{}-{:016x}", tenant.given.len(), fastrand(tenant.given.len() as u64));
        tenant.user_token.clone_from(&value);
        tenant.given.push(value.clone());
        self.end_families(|family| family.account == name);
        Some(value)
    }
}
