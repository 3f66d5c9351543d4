//! What must never be printed. Everything that a run of the tool prints is
//! searched when it ends, whatever the test is about.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Passwords, codes and tokens of this process's tests.
static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What is shorter stands in words that may be printed.
const SHORTEST: usize = 8;

/// From now on this must not be printed.
pub fn know(secret: &str) {
    if secret.len() >= SHORTEST {
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }
}

/// The secret that the text holds, if it holds one.
pub fn find(text: &str) -> Option<String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|secret| text.contains(secret.as_str())).cloned().or_else(|| token(text))
}

/// Fails where the text holds one.
#[track_caller]
pub fn refuse(what: &str, text: &str) {
    if let Some(secret) = find(text) {
        panic!("a secret is printed: {secret}\n{what}:\n{text}");
    }
}

/// Anything that looks like a token, known or not: base64 of `{"`, on and on.
fn token(text: &str) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    text.match_indices("eyJ").find_map(|(at, _)| {
        let begins = at == 0 || !is_part(&bytes[at - 1]) || bytes[at - 1] == b'.';
        let length = bytes[at..].iter().take_while(|byte| is_part(byte)).count();
        (begins && length >= 40).then(|| text[at..at + length].to_owned())
    })
}

#[test]
fn what_must_not_be_printed_is_found() {
    know("a phrase that only this test knows");
    assert!(find("error: a phrase that only this test knows\n").is_some());
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJjb2xsZWN0aW9uSWQiOiJ4In0.c2lnbmF0dXJl";
    assert_eq!(find(&format!("Authorization: {token}\"")).as_deref(), Some(token));
    assert_eq!(find(&format!("e30.{}", &token[21..])).as_deref(), Some(&token[21..]));
    assert_eq!(find("error: wrong name or password for users, eyJ"), None);
}
