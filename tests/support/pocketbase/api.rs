//! The server's REST API, as the superuser unless said otherwise. What the
//! server refuses is a panic; `request` and `try_request` show it instead.

use super::Login;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

/// A handle that can be cloned and sent to other threads.
#[derive(Clone, Debug)]
pub struct Api {
    url: String,
    superuser: Login,
    agent: Agent,
}

/// One client of the realtime API, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct RealtimeClient {
    pub id: String,
    /// The full keys, with options.
    pub subscriptions: Vec<String>,
    /// `COLLECTION/RECORD_ID`, or none for a guest.
    pub auth: Option<String>,
}

impl Api {
    pub(super) fn new(url: String, superuser: Login) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None) // the server is here, whatever the environment says
            .timeout_global(Some(Duration::from_secs(30)))
            .max_idle_connections_per_host(16)
            .build()
            .new_agent();
        Self { url, superuser, agent }
    }

    /// The same server with no connections kept from before.
    pub(super) fn renewed(&self) -> Self {
        Self::new(self.url.clone(), self.superuser.clone())
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn superuser_token(&self) -> &str {
        &self.superuser.token
    }

    /// Any request; the error is one of the connection. The path begins with a
    /// slash and is sent as it is. An empty answer is null, one that is not
    /// JSON a string.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        let response = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string())?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        let status = response.status().as_u16();
        let text = response.into_body().read_to_string()?;
        let value = match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => Value::String(text),
        };
        Ok((status, value))
    }

    #[track_caller]
    pub fn request(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        match self.try_request(method, path, token, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// A request that has to succeed.
    #[track_caller]
    pub fn ok(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Value {
        let (status, answer) = self.request(method, path, token, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path} was answered with {status}: {answer}\nsent: {}",
            body.unwrap_or(&Value::Null)
        );
        answer
    }

    #[track_caller]
    pub fn root(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.ok(method, path, Some(self.superuser_token()), body)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.root("GET", path, None)
    }

    #[track_caller]
    pub fn create(&self, collection: &str, record: &Value) -> Value {
        self.create_as(self.superuser_token(), collection, record)
    }

    #[track_caller]
    pub fn create_as(&self, token: &str, collection: &str, record: &Value) -> Value {
        self.ok("POST", &records(collection), Some(token), Some(record))
    }

    #[track_caller]
    pub fn update(&self, collection: &str, id: &str, changes: &Value) -> Value {
        self.update_as(self.superuser_token(), collection, id, changes)
    }

    #[track_caller]
    pub fn update_as(&self, token: &str, collection: &str, id: &str, changes: &Value) -> Value {
        self.ok("PATCH", &record(collection, id), Some(token), Some(changes))
    }

    #[track_caller]
    pub fn delete(&self, collection: &str, id: &str) {
        self.root("DELETE", &record(collection, id), None);
    }

    /// One record.
    #[track_caller]
    pub fn view(&self, collection: &str, id: &str) -> Value {
        self.get(&record(collection, id))
    }

    /// The `items` of one page; the query is not encoded yet.
    #[track_caller]
    pub fn list(&self, collection: &str, query: &[(&str, &str)]) -> Vec<Value> {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let query: Vec<String> =
            query.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        let page = self.get(&format!("{}?{}", records(collection), query.join("&")));
        page["items"].as_array().cloned().unwrap_or_default()
    }

    #[track_caller]
    pub fn create_collection(&self, definition: &Value) -> Value {
        self.root("POST", "/api/collections", Some(definition))
    }

    #[track_caller]
    pub fn patch_collection(&self, collection: &str, changes: &Value) -> Value {
        let path = format!("/api/collections/{collection}");
        self.root("PATCH", &path, Some(changes))
    }

    #[track_caller]
    pub fn patch_settings(&self, changes: &Value) -> Value {
        self.root("PATCH", "/api/settings", Some(changes))
    }

    /// Signs in with a password.
    #[track_caller]
    pub fn login(&self, collection: &str, identity: &str, password: &str) -> Login {
        let path = format!("/api/collections/{collection}/auth-with-password");
        let body = json!({"identity": identity, "password": password});
        let answer = self.ok("POST", &path, None, Some(&body));
        Login { id: text(&answer["record"]["id"]), token: text(&answer["token"]) }
    }

    /// Sends a message to a custom topic; the number of subscriptions it went to.
    #[track_caller]
    pub fn emit(&self, topic: &str, data: &Value) -> u64 {
        self.emit_raw(topic, data.to_string())
    }

    /// The same with a payload that need be neither JSON nor UTF-8.
    #[track_caller]
    pub fn emit_raw(&self, topic: &str, payload: impl AsRef<[u8]>) -> u64 {
        let payload = payload.as_ref();
        let body = match std::str::from_utf8(payload) {
            Ok(text) => json!({"topic": topic, "text": text}),
            Err(_) => json!({"topic": topic, "bytes": payload}),
        };
        let answer = self.root("POST", "/api/lab/emit", Some(&body));
        answer["sent"].as_u64().expect("the hook counts")
    }

    /// Sends so many messages with this text to a custom topic, numbered from 0.
    #[track_caller]
    pub fn burst(&self, topic: &str, count: usize, text: &str) {
        self.root("POST", "/api/lab/burst", Some(&json!({"topic": topic, "count": count, "text": text})));
    }

    /// Makes many posts at once, past the feed; so many of them changed in each millisecond.
    #[track_caller]
    pub fn fill_posts(&self, count: usize, ties: usize) {
        let body = json!({"count": count, "ties": ties});
        self.root("POST", "/api/lab/fill", Some(&body));
    }

    /// How long realtime connections that are opened from now on may be idle and
    /// live, in ms; 0 is the server's own value. 0.30.0 knows no `max`.
    /// (For one connection: `GET /api/realtime?idle=MS&max=MS`.)
    #[track_caller]
    pub fn limit_connections(&self, idle: u64, max: u64) {
        let body = json!({"idle": idle, "max": max});
        self.root("POST", "/api/lab/limits", Some(&body));
    }

    /// Who is connected to the realtime API, ordered by id.
    #[track_caller]
    pub fn clients(&self) -> Vec<RealtimeClient> {
        let answer = self.get("/api/lab/clients");
        let mut clients: Vec<RealtimeClient> = serde_json::from_value(answer).expect("the hook answers with clients");
        clients.sort();
        clients
    }

    /// Is the server there and able to answer?
    pub fn is_healthy(&self) -> bool {
        let answer = self.try_request("GET", "/api/health", None, None);
        matches!(answer, Ok((200, _)))
    }
}

fn records(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

fn record(collection: &str, id: &str) -> String {
    format!("/api/collections/{collection}/records/{id}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
