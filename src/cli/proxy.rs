//! The proxy of the environment, as the HTTP client finds it: only its name, for errors.

use hyper_util::client::proxy::matcher::Matcher;

use crate::ServerUrl;

/// The variables that may name a proxy.
pub(crate) const VARIABLES: &str = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY";

/// The proxy that requests to this server go by, without a password.
pub(crate) fn name(url: &ServerUrl) -> Option<String> {
    // What stays on this machine goes to no proxy.
    if url.is_loopback() {
        return None;
    }
    let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
    let uri = proxy.uri();
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?.as_str().rsplit('@').next()?))
}
