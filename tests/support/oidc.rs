//! A real OpenID provider, `oidc-provider-mock` from `PyPI`, and a browser that
//! goes where it is sent.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;

use super::pocketbase::janitor::{Process, guarded};
use super::pocketbase::{ANN, Api, free_port, python_package, wait_for};

/// Who has an account at the provider.
pub const ADA: &str = "ada@example.com";

/// What the server must keep to itself.
const CLIENT_SECRET: &str = "the-client-secret-4711";

/// The provider: one for all tests of a process, which ends with it.
pub struct Provider {
    _process: Process,
    url: String,
}

impl Provider {
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Provider> = LazyLock::new(Provider::start);
        &SHARED
    }

    fn start() -> Self {
        super::cli::secrets::know(CLIENT_SECRET);
        let folder = python_package("oidc-provider-mock", "0.3.4").unwrap_or_else(|reason| panic!("{reason}"));
        let port = free_port();
        let person = |sub: &str, email: &str| {
            json!({"sub": sub, "email": email, "email_verified": true, "name": sub}).to_string()
        };
        let mut command = guarded("python3");
        command.args(["-W", "ignore", "-m", "oidc_provider_mock", "-p", &port.to_string()]);
        command.args(["--user-claims", &person("ada", ADA), "--user-claims", &person("ann", ANN)]);
        command.env("PYTHONPATH", folder).stdout(Stdio::null());
        let provider =
            Self { _process: Process::start(&mut command).unwrap(), url: format!("http://127.0.0.1:{port}") };
        let browser = Browser::new();
        wait_for("the OpenID provider", Duration::from_secs(30), || {
            browser.get(&format!("{}/.well-known/openid-configuration", provider.url)).is_ok()
        });
        provider
    }

    /// Makes a collection sign in here, as the provider `oidc`.
    pub fn configure(&self, api: &Api, collection: &str) {
        let Self { url, .. } = self;
        let provider = json!({
            "name": "oidc", "clientId": "bosbase-watch-tests", "clientSecret": CLIENT_SECRET,
            "authURL": format!("{url}/oauth2/authorize"), "tokenURL": format!("{url}/oauth2/token"),
            "userInfoURL": format!("{url}/userinfo"), "displayName": "Local OIDC",
        });
        api.patch_collection(collection, &json!({"oauth2": {"enabled": true, "providers": [provider]}}));
    }
}

/// A browser, as far as a sign-in needs one.
pub struct Browser(ureq::Agent);

/// Asks for an address from another of this machine's own, as a browser elsewhere would: where it is redirected to.
#[track_caller]
pub fn get_from(source: Ipv4Addr, url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, url.port().expect("a port")));
    socket.connect(&server.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let host = url.host_str().unwrap();
    write!(stream, "GET {}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", url.path()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    location.unwrap_or_else(|| panic!("no redirect: {answer}")).to_owned()
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(20)));
        Self(config.build().new_agent())
    }

    /// The status and, where it redirects, to where.
    pub fn get(&self, url: &str) -> Result<(u16, Option<String>), ureq::Error> {
        self.0.get(url).call().map(|response| seen(&response))
    }

    /// The address that the provider sends the browser back to.
    #[track_caller]
    pub fn sign_in(&self, page: &str, fields: &[(&str, &str)]) -> String {
        assert_eq!(self.get(page).unwrap().0, 200, "the page for people: {page}");
        let response = self.0.post(page).send_form(fields.iter().copied()).unwrap();
        seen(&response).1.expect("the provider redirects")
    }

    /// The same, followed to the server: the page where a person ends up.
    #[track_caller]
    pub fn sign_in_to_the_end(&self, page: &str, fields: &[(&str, &str)]) -> String {
        let back = self.sign_in(page, fields);
        self.get(&back).unwrap().1.expect("the server redirects")
    }
}

fn seen<T>(response: &ureq::http::Response<T>) -> (u16, Option<String>) {
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), location)
}

/// The code and state in an address.
pub fn query(url: &str) -> Vec<(String, String)> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// A value of the query of an address.
#[track_caller]
pub fn param(url: &str, name: &str) -> String {
    let found = query(url).into_iter().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("{url} has no {name}")).1
}
