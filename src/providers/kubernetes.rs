//! Tokens of ServiceAccounts by TokenRequest.
