//! The addresses of an OAuth2 sign-in: the one that the browser is sent to, and
//! the one that it comes back with.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::{Error, ErrorKind, Result, Secret};

/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The provider's page with this sign-in's state, redirect URL and scopes.
/// What is not http or https is refused: a browser would open anything.
pub(super) fn authorization(page: &str, state: &str, redirect_url: &str, scopes: &[String]) -> Result<String> {
    let refused =
        |why: String| Error::new(ErrorKind::NotBosBase, format!("the provider's page cannot be opened: {why}"));
    let mut url = Url::parse(page).map_err(|error| refused(format!("its address is none ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!("its address begins with {}: and not with https:", url.scheme())));
    }
    if url.username() != "" || url.password().is_some() {
        return Err(refused("its address holds a password".into()));
    }
    let scope = scopes.join(" ");
    let ours = |key: &str| matches!(key, "state" | "redirect_uri") || (key == "scope" && !scopes.is_empty());
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(key, _)| !ours(key)).collect();
    if !scopes.is_empty() {
        pairs.push(("scope".into(), scope));
    }
    pairs.push(("state".into(), state.to_owned()));
    pairs.push(("redirect_uri".into(), redirect_url.to_owned()));
    let encode = |text: &str| utf8_percent_encode(text, COMPONENT).to_string();
    let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    url.set_query(Some(&query.join("&")));
    url.set_fragment(None);
    Ok(url.into())
}

/// What the provider answers with.
#[derive(Debug, Default)]
pub(super) struct Redirect {
    pub(super) state: Option<String>,
    pub(super) code: Option<Secret>,
    pub(super) error: Option<String>,
}

impl Redirect {
    /// From the query of the address that the browser was sent back to.
    pub(super) fn from_query(query: &str) -> Self {
        let mut redirect = Self::default();
        let mut description = None;
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "state" => redirect.state = Some(value.into_owned()),
                "code" if !value.is_empty() => redirect.code = Some(Secret::new(value)),
                "error" if !value.is_empty() => redirect.error = Some(value.into_owned()),
                "error_description" if !value.is_empty() => description = Some(value.into_owned()),
                _ => {}
            }
        }
        if let (Some(error), Some(description)) = (&mut redirect.error, description) {
            *error = format!("{error}, {description}");
        }
        redirect
    }

    /// From what a person has copied: the whole address, or its query.
    pub(super) fn from_pasted(text: &str) -> Self {
        let text = text.trim();
        let query = match text.split_once('?') {
            Some((_, query)) => query,
            None => text,
        };
        Self::from_query(query.split('#').next().unwrap_or_default())
    }

    /// The code, where it is the answer to the sign-in with this state.
    pub(super) fn code_for(self, state: &str) -> Result<Secret> {
        let refused = |what: String| Err(Error::new(ErrorKind::Unauthorized, what));
        match &self.state {
            Some(theirs) if theirs != state => {
                return refused("the answer belongs to another sign-in: its state is not the one of this one".into());
            }
            // Some providers leave the state out where they refuse.
            None if self.error.is_none() => return refused("that is no answer to a sign-in: it has no state".into()),
            _ => {}
        }
        match (self.error, self.code) {
            (Some(error), _) => refused(format!("the provider refuses the sign-in: {error}")),
            (None, Some(code)) => Ok(code),
            (None, None) => refused("the provider's answer holds no code".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_gets_state_redirect_url_and_scopes() {
        let page =
            "https://idp.example.com/auth?client_id=a%20b&scope=email&state=old&response_type=code&redirect_uri=";
        assert_eq!(
            authorization(page, "s1", "http://127.0.0.1:8090/api/oauth2-redirect", &[]).unwrap(),
            "https://idp.example.com/auth?client_id=a%20b&scope=email&response_type=code&state=s1\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A8090%2Fapi%2Foauth2-redirect"
        );
        let scopes = ["openid".to_owned(), "email".to_owned()];
        let url = authorization(page, "s1", "x", &scopes).unwrap();
        assert!(url.contains("&scope=openid%20email&state=s1&redirect_uri=x") && !url.contains("scope=email"), "{url}");
    }

    #[test]
    fn a_browser_is_sent_to_the_web_only() {
        for page in ["file:///etc/passwd", "javascript:alert(1)", "ssh://x", "-oProxyCommand=x", "", "https://a:b@x/?"]
        {
            let error = authorization(page, "s", "r", &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotBosBase, "{page}");
        }
    }

    #[test]
    fn answers_are_read_and_their_state_is_checked() {
        let code = |text: &str| Redirect::from_pasted(text).code_for("s1").map(|code| code.expose().to_owned());
        assert_eq!(code(" http://127.0.0.1:1/oauth2-redirect?state=s1&code=a%2Fb#x \n").unwrap(), "a/b");
        assert_eq!(code("code=ab&state=s1").unwrap(), "ab");
        for (text, why) in [
            ("http://x/?code=ab&state=s2", "another sign-in"),
            ("http://x/?code=ab", "no state"),
            ("ab", "no state"),
            ("http://x/?state=s1", "no code"),
            ("http://x/?state=s1&code=", "no code"),
            ("http://x/?state=s1&error=access_denied&error_description=No+way", "access_denied, No way"),
            ("http://x/?error=access_denied", "refuses the sign-in: access_denied"),
        ] {
            let error = code(text).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }
}
