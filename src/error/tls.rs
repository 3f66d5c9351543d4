//! What TLS refuses, in the words of a person.

use std::error::Error as StdError;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as Tls};

/// The TLS error in one link of a chain. rustls hands its errors through
/// `io::Error`, more than one deep, whose `source()` skips the error it holds.
pub(super) fn cause<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a Tls> {
    let mut inner = cause;
    loop {
        if let Some(tls) = inner.downcast_ref() {
            return Some(tls);
        }
        inner = inner.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}

pub(super) fn words(error: &Tls, host: &str) -> String {
    match error {
        Tls::InvalidCertificate(cert) => {
            format!("the certificate of {host} is not accepted: {}", why(cert))
        }
        Tls::InvalidMessage(_) => format!("{host} does not speak TLS on this port"),
        Tls::AlertReceived(alert) => {
            let what = match alert {
                AlertDescription::ProtocolVersion => "it is of another version of TLS",
                AlertDescription::CertificateRequired => "it asks for a certificate of the client",
                AlertDescription::UnrecognisedName => "it does not know this name",
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                    "the two have no cipher in common"
                }
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError => {
                    return format!("{host} does not accept the certificate of the client: {alert:?}");
                }
                AlertDescription::AccessDenied => "access denied",
                other => return format!("{host} breaks off the TLS handshake: {other:?}"),
            };
            format!("{host} breaks off the TLS handshake: {what}")
        }
        Tls::PeerIncompatible(_) => format!("{host} speaks an old TLS only, which is not safe"),
        Tls::General(what) if what.to_lowercase().contains("no ca certificates") => {
            "this system has no certificates of authorities to judge others by".to_owned()
        }
        other => format!("no TLS connection to {host}: {other}"),
    }
}

fn why(cert: &CertificateError) -> String {
    use CertificateError as Cert;
    match cert {
        Cert::Expired => "it has expired".to_owned(),
        Cert::ExpiredContext { time, not_after } => match days(*time, *not_after) {
            0 => "it expired today".to_owned(),
            1 => "it expired yesterday".to_owned(),
            days => format!("it expired {days} days ago"),
        },
        Cert::NotValidYet => "it is not valid yet".to_owned(),
        Cert::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}", day(*not_before))
        }
        Cert::UnknownIssuer => "no authority that this system trusts has signed it".to_owned(),
        Cert::NotValidForName => "it was issued for another name".to_owned(),
        Cert::NotValidForNameContext { presented, .. } => match names(presented).as_slice() {
            [] => "it was issued for no name at all".to_owned(),
            names => format!("it was issued for {}", names.join(", ")),
        },
        Cert::Revoked => "it has been revoked".to_owned(),
        Cert::BadSignature => {
            "the authority that it names has not signed it; is there another of the same name?".to_owned()
        }
        Cert::BadEncoding => "it cannot be read".to_owned(),
        Cert::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is the own one of an authority, and not one for a server".to_owned()
        }
        other => other.to_string(),
    }
}

/// Whole days from one moment to a later one.
fn days(later: UnixTime, earlier: UnixTime) -> u64 {
    later.as_secs().saturating_sub(earlier.as_secs()) / 86_400
}

fn day(moment: UnixTime) -> String {
    let at = i64::try_from(moment.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "a day that cannot be told".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// The names of a certificate, which come as `DnsName("example.com")`; the first few of them.
fn names(presented: &[String]) -> Vec<String> {
    const SHOWN: usize = 3;
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    let mut names: Vec<String> = presented.iter().take(SHOWN).map(bare).collect();
    if presented.len() > SHOWN {
        names.push(format!("{} more", presented.len() - SHOWN));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_wrong_with_a_certificate() {
        let at = |days: u64| UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400));
        let said = |cert| words(&Tls::InvalidCertificate(cert), "example.com").split_once(": ").unwrap().1.to_owned();
        for (days, text) in [(0, "it expired today"), (1, "it expired yesterday"), (3, "it expired 3 days ago")] {
            let cert = CertificateError::ExpiredContext { time: at(20_000 + days), not_after: at(20_000) };
            assert_eq!(said(cert), text);
        }
        let early = CertificateError::NotValidYetContext { time: at(20_000), not_before: at(30_000) };
        assert_eq!(said(early), "it is not valid before 2052-02-20");
        assert_eq!(
            names(&["DnsName(\"a.example\")".into(), "IpAddress(127.0.0.1)".into()]),
            ["a.example", "127.0.0.1"]
        );
        let many: Vec<String> = (0..5).map(|n| format!("DnsName(\"{n}.example\")")).collect();
        assert_eq!(names(&many), ["0.example", "1.example", "2.example", "2 more"]);
    }
}
