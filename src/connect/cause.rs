//! Why a connection failed, as a sentence that says what to do: the one place that reads the errors of TLS, of the
//! network and of HTTP.
//!
//! Each sentence ends with the raw cause in parentheses, unless that repeats the server's certificate. The caller removes URLs from it, and
//! bounds its length.

use std::{error::Error, io};

use rustls::{AlertDescription as Alert, CertificateError, Error as Tls};

/// The server of a connection: how messages call it, and what a user can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Provider,
    ApiServer,
}

impl Peer {
    const fn name(self) -> &'static str {
        match self {
            Self::Provider => "the server",
            Self::ApiServer => "the API server",
        }
    }

    /// Where its CA is configured.
    const fn ca(self) -> &'static str {
        match self {
            Self::Provider => "caBundle",
            Self::ApiServer => "the CA of the operator's kubeconfig or service account",
        }
    }

    /// Where its address is configured.
    const fn address(self) -> &'static str {
        match self {
            Self::Provider => "host and port of the base URL",
            Self::ApiServer => "the API server's address in the operator's environment or kubeconfig",
        }
    }
}

/// The innermost cause, as its library words it.
#[must_use]
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

/// What happened and what to do, with the raw cause behind it unless that repeats what the server chose. A cause that is not known stands
/// alone.
#[must_use]
pub fn sentence(error: &(dyn Error + 'static), peer: Peer) -> String {
    let raw = innermost(error);
    match explained(error, peer) {
        Some(sentence) if chain(error).any(|cause| cause.downcast_ref().is_some_and(repeats_certificate)) => sentence,
        Some(sentence) => format!("{sentence} ({raw})"),
        None => raw,
    }
}

/// An error and its causes, the one that an I/O error wraps included: `source` leaves that out.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| next(*error))
}

fn next<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn explained(error: &(dyn Error + 'static), peer: Peer) -> Option<String> {
    let of_tls = chain(error).find_map(|cause| tls(cause.downcast_ref()?, peer));
    let of_text = || chain(error).find_map(|cause| text(&cause.to_string(), peer));
    let of_network = || chain(error).find_map(|cause| network(cause.downcast_ref::<io::Error>()?.kind(), peer));
    of_tls.or_else(of_text).or_else(of_network)
}

fn tls(error: &Tls, peer: Peer) -> Option<String> {
    let (name, ca) = (peer.name(), peer.ca());
    Some(match error {
        Tls::InvalidCertificate(why) => certificate(why, peer)?,
        Tls::AlertReceived(Alert::ProtocolVersion | Alert::InsufficientSecurity) | Tls::PeerIncompatible(_) => {
            format!("{name} offers no TLS version or cipher that the operator supports; enable TLS 1.2 or 1.3 there")
        }
        Tls::AlertReceived(Alert::HandshakeFailure) => format!(
            "{name} rejects the TLS handshake; enable TLS 1.2 or 1.3 there, and configure the client certificate if it asks for one"
        ),
        Tls::AlertReceived(Alert::UnrecognisedName) => {
            format!("{name} has no certificate for this host name; check {}", peer.address())
        }
        Tls::AlertReceived(
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::NoCertificate,
        ) => format!("{name} asks for a client certificate that it trusts; configure one, or renew it"),
        Tls::InvalidMessage(_) => {
            format!("{name} does not speak TLS at this port; check scheme, {}", peer.address())
        }
        Tls::NoCertificatesPresented => {
            format!("{name} presents no certificate; configure one there, and its CA in {ca}")
        }
        _ => return None,
    })
}

/// Whether an error repeats what is in the server's certificate, as its names: a server can write there what conditions must not show.
fn repeats_certificate(error: &Tls) -> bool {
    let Tls::InvalidCertificate(why) = error else { return false };
    matches!(
        why,
        CertificateError::NotValidForNameContext { .. }
            | CertificateError::InvalidPurposeContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

fn certificate(why: &CertificateError, peer: Peer) -> Option<String> {
    let (name, ca) = (peer.name(), peer.ca());
    Some(match why {
        CertificateError::UnknownIssuer => format!(
            "the CA that signed the certificate of {name} is not trusted; put the certificate of that CA into {ca}"
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => format!(
            "{name} presents a CA certificate (often self-signed) as its server certificate; issue a server certificate \
             that is not a CA, and put the certificate of the CA that signed it into {ca}"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "the certificate of {name} has expired; renew it there, or correct the clock of the operator's node"
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
            "the certificate of {name} is not valid yet; correct the clock of the operator's node, or issue a new certificate"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the certificate of {name} is for another host name; check {}, or add the name to the certificate",
            peer.address()
        ),
        CertificateError::Revoked => format!("the certificate of {name} is revoked; replace it there"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => format!(
            "the certificate of {name} is not issued for servers; issue one with the extended key usage serverAuth"
        ),
        CertificateError::BadSignature => format!(
            "the signature of the certificate of {name} is wrong; put the certificate of the CA that signed it into {ca}"
        ),
        CertificateError::BadEncoding
        | CertificateError::UnhandledCriticalExtension
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "the certificate of {name} is malformed, or uses an algorithm that is not supported; replace it there"
        ),
        _ => return None,
    })
}

/// Causes that have no type of their own.
fn text(raw: &str, peer: Peer) -> Option<String> {
    let name = peer.name();
    let is = |signs: &[&str]| signs.iter().any(|sign| raw.contains(sign));
    if is(&["failed to lookup address information", "Name or service not known", "Name does not resolve"]) {
        return Some(format!("DNS finds no address of the host; check {}, and the DNS of the cluster", peer.address()));
    }
    if is(&["connection closed before message completed"]) {
        return Some(format!(
            "{name}, or a proxy before it, closed the connection without an answer; check their logs"
        ));
    }
    if is(&["invalid HTTP version parsed", "invalid HTTP status-code parsed", "invalid HTTP header parsed"]) {
        return Some(format!("{name} does not answer with HTTP/1.1; check scheme, {}", peer.address()));
    }
    None
}

fn network(kind: io::ErrorKind, peer: Peer) -> Option<String> {
    let (name, address) = (peer.name(), peer.address());
    Some(match kind {
        io::ErrorKind::ConnectionRefused => {
            format!("{name} accepts no connection; check that it runs, {address}, and firewalls")
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => {
            format!("{name}, or a proxy or firewall before it, closed the connection; check their logs")
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            format!("the network has no route to {name}; check {address}, network policies and firewalls")
        }
        io::ErrorKind::TimedOut => {
            format!("{name} does not answer in time; check that it runs, {address}, network policies and firewalls")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use rustls::{
        ExtendedKeyPurpose, InvalidMessage, OtherError, PeerIncompatible, pki_types::ServerName, pki_types::UnixTime,
    };

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("CaUsedAsEndEntity")]
    struct CaUsedAsEndEntity;

    /// The names, purposes and algorithms of a certificate are what the server chose, and conditions would show them.
    #[test]
    fn what_a_certificate_says_is_not_repeated() {
        let expected = ServerName::try_from("api.example.com").unwrap();
        let chosen = || vec![7, 77, 77];
        for why in [
            CertificateError::NotValidForNameContext { expected, presented: vec!["swordfish.example".to_owned()] },
            CertificateError::InvalidPurposeContext {
                required: ExtendedKeyPurpose::ServerAuth,
                presented: vec![ExtendedKeyPurpose::Other(vec![7, 77, 77])],
            },
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: chosen(),
                supported_algorithms: vec![],
            },
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: chosen(),
                public_key_algorithm_id: chosen(),
            },
        ] {
            let error = io::Error::new(io::ErrorKind::InvalidData, Tls::InvalidCertificate(why));
            let reported = sentence(&error, Peer::Provider);
            assert!(reported.contains("the certificate of the server") && reported.contains(';'), "{reported}");
            assert!(!reported.contains("swordfish") && !reported.contains("77"), "{reported}");
            assert!(!reported.contains('('), "{reported}");
        }
    }

    #[test]
    fn each_cause_says_what_to_do() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let self_signed = CertificateError::Other(OtherError(Arc::new(CaUsedAsEndEntity)));
        for (error, what, advice) in [
            (Tls::InvalidCertificate(self_signed), "presents a CA certificate", "into caBundle"),
            (Tls::InvalidCertificate(CertificateError::UnknownIssuer), "is not trusted", "into caBundle"),
            (
                Tls::InvalidCertificate(CertificateError::ExpiredContext { time: at(9), not_after: at(8) }),
                "has expired",
                "renew",
            ),
            (
                Tls::InvalidCertificate(CertificateError::NotValidYetContext { time: at(8), not_before: at(9) }),
                "not valid yet",
                "clock",
            ),
            (Tls::InvalidCertificate(CertificateError::NotValidForName), "another host name", "base URL"),
            (Tls::InvalidCertificate(CertificateError::Revoked), "is revoked", "replace"),
            (Tls::InvalidCertificate(CertificateError::InvalidPurpose), "not issued for servers", "serverAuth"),
            (Tls::InvalidCertificate(CertificateError::BadSignature), "signature", "caBundle"),
            (Tls::InvalidCertificate(CertificateError::BadEncoding), "malformed", "replace"),
            (Tls::AlertReceived(Alert::ProtocolVersion), "no TLS version", "TLS 1.2 or 1.3"),
            (Tls::AlertReceived(Alert::HandshakeFailure), "rejects the TLS handshake", "TLS 1.2 or 1.3"),
            (Tls::AlertReceived(Alert::CertificateRequired), "asks for a client certificate", "configure one"),
            (Tls::AlertReceived(Alert::UnrecognisedName), "no certificate for this host", "base URL"),
            (Tls::PeerIncompatible(PeerIncompatible::Tls12NotOffered), "no TLS version", "TLS 1.2 or 1.3"),
            (Tls::InvalidMessage(InvalidMessage::InvalidContentType), "does not speak TLS", "scheme"),
        ] {
            let raw = error.to_string();
            let reported = sentence(&io::Error::new(io::ErrorKind::InvalidData, error), Peer::Provider);
            assert!(
                reported.contains(what) && reported.contains(advice) && reported.ends_with(&format!("({raw})")),
                "{reported}"
            );
        }
        for (kind, what) in [
            (io::ErrorKind::ConnectionRefused, "accepts no connection"),
            (io::ErrorKind::ConnectionReset, "closed the connection"),
            (io::ErrorKind::UnexpectedEof, "closed the connection"),
            (io::ErrorKind::HostUnreachable, "no route"),
            (io::ErrorKind::TimedOut, "does not answer in time"),
        ] {
            let reported = sentence(&io::Error::from(kind), Peer::ApiServer);
            assert!(
                reported.contains(what)
                    && reported.contains("the API server")
                    && reported.ends_with(&format!("({kind})")),
                "{reported}"
            );
        }
        for (raw, what) in [
            ("failed to lookup address information: Name or service not known", "DNS finds no address"),
            ("connection closed before message completed", "without an answer"),
            ("invalid HTTP version parsed", "does not answer with HTTP/1.1"),
        ] {
            let reported = sentence(&io::Error::other(raw), Peer::Provider);
            assert!(reported.contains(what) && reported.ends_with(&format!("({raw})")), "{reported}");
        }
        assert_eq!(sentence(&io::Error::other("something new"), Peer::Provider), "something new");
    }
}
