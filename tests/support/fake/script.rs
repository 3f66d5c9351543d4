//! What the server expects, and in which order.

use std::fmt;
use std::sync::Arc;

use super::Fake;
use super::reply::{Reply, error, ok, page, stream, subscribed};
use super::request::{Request, query_pairs};

/// The play: steps that must be asked for in their order, and rules that always answer.
///
/// A request is given to the next step if that step matches, otherwise to the youngest rule that
/// does, otherwise it is unexpected: it gets a 599, and the fake fails at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) rules: Vec<(Matcher, Reply)>,
    pub(super) refused_until: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) on: On,
    pub(super) reply: Reply,
    /// Steps of one group are asked for in any order.
    pub(super) group: usize,
}

#[derive(Clone, Debug)]
pub(super) enum On {
    Request(Matcher),
    /// A connection is accepted: played before a byte of it is read.
    Connection,
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(matcher) => matcher.fmt(f),
            Self::Connection => f.write_str("a connection"),
        }
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The next request must be this one, and is answered so.
    pub(crate) fn then(mut self, on: impl Into<Matcher>, reply: impl Into<Reply>) -> Self {
        self.add(On::Request(on.into()), reply.into(), true);
        self
    }

    /// Like the step before, and in any order with it: for requests that run in parallel.
    pub(crate) fn also(mut self, on: impl Into<Matcher>, reply: impl Into<Reply>) -> Self {
        self.add(On::Request(on.into()), reply.into(), false);
        self
    }

    /// The next `times` requests must be this one.
    pub(crate) fn times(mut self, times: usize, on: impl Into<Matcher>, reply: impl Into<Reply>) -> Self {
        let (on, reply) = (on.into(), reply.into());
        for _ in 0..times {
            self.add(On::Request(on.clone()), reply.clone(), true);
        }
        self
    }

    /// The next thing to come is a connection, answered before a byte of it is read: with
    /// `close()`, `reset()`, `stall()` or the `raw(…)` greeting of another kind of server.
    pub(crate) fn on_connect(mut self, reply: impl Into<Reply>) -> Self {
        self.add(On::Connection, reply.into(), true);
        self
    }

    /// Whenever this is asked outside of the steps, this is the answer. It need not be asked. A
    /// later rule goes before an earlier one, so that a test can overrule a preset.
    pub(crate) fn always(mut self, on: impl Into<Matcher>, reply: impl Into<Reply>) -> Self {
        self.rules.push((on.into(), reply.into()));
        self
    }

    /// Connects are refused from the start, until the gate opens.
    pub(crate) fn refused_until(mut self, gate: &str) -> Self {
        self.refused_until = Some(gate.to_owned());
        self
    }

    /// Curtain up.
    pub(crate) fn start(self) -> Fake {
        Fake::start(self)
    }

    fn add(&mut self, on: On, reply: Reply, new_group: bool) {
        let last = self.steps.last().map_or(0, |step| step.group);
        self.steps.push(Step { on, reply, group: last + usize::from(new_group) });
    }

    /// The names of all gates that something waits for, to tell a test of a misspelt one; `None`
    /// if not all are known.
    pub(super) fn gates(&self) -> Option<Vec<String>> {
        let replies = self.steps.iter().map(|step| &step.reply);
        let replies = replies.chain(self.rules.iter().map(|(_, reply)| reply));
        let mut gates = replies.map(Reply::gates).collect::<Option<Vec<_>>>()?.concat();
        gates.extend(self.refused_until.clone());
        Some(gates)
    }
}

/// A healthy server: its health, a feed that is driven by [`Fake::emit`], subscriptions that are
/// checked and recorded as the real server does, lists that are empty, records that do not exist.
pub(crate) fn healthy_feed() -> Script {
    Script::new()
        .always("GET /api/health", healthy())
        .always("GET /api/realtime", stream().connect().live())
        .always("POST /api/realtime", subscribed())
        .always("GET /api/collections/*/records", page([]))
        .always("GET /api/collections/*/records/*", error(404, "The requested resource wasn't found."))
}

/// What `GET /api/health` answers.
pub(crate) fn healthy() -> Reply {
    ok(serde_json::json!({ "code": 200, "message": "API is healthy.", "data": {} })).into()
}

/// Which requests: `"GET /api/collections/*/records?page=2"`.
///
/// The method (`*` for any), then the beginning of the path, segment by segment (`*` stands for
/// one segment), then query parameters that must be there (decoded; others may be there as well).
#[derive(Clone)]
pub(crate) struct Matcher {
    text: String,
    method: String,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    conditions: Vec<Condition>,
}

type Condition = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// A matcher that goes on with conditions: `on("GET /api/realtime").when(|request| …)`.
pub(crate) fn on(text: &str) -> Matcher {
    Matcher::from(text)
}

impl Matcher {
    /// And the request must fulfil this. (It is called under a lock: do not call the fake.)
    pub(crate) fn when(mut self, condition: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// And the header must have exactly this value.
    pub(crate) fn with_header(self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        self.when(move |request| request.header(name) == Some(value.as_str()))
    }

    /// And the header must be missing.
    pub(crate) fn without_header(self, name: &'static str) -> Self {
        self.when(move |request| request.header(name).is_none())
    }

    pub(crate) fn matches(&self, request: &Request) -> bool {
        (self.method == "*" || self.method == request.method)
            && self.matches_path(&request.path)
            && self.matches_query(&request.query)
            && self.conditions.iter().all(|condition| condition(request))
    }

    fn matches_path(&self, path: &str) -> bool {
        let mut segments = path.split('/').skip(1);
        self.segments.iter().all(|wanted| segments.next().is_some_and(|segment| wanted == "*" || wanted == segment))
    }

    fn matches_query(&self, query: &str) -> bool {
        let pairs = query_pairs(query);
        self.query.iter().all(|wanted| pairs.contains(wanted))
    }
}

impl From<&str> for Matcher {
    fn from(text: &str) -> Self {
        let (method, target) = text.split_once(' ').expect("a matcher reads `METHOD /path`");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix('/').expect("the path of a matcher begins with /");
        Self {
            text: text.to_owned(),
            method: method.to_owned(),
            segments: path.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            query: query_pairs(query),
            conditions: Vec::new(),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str(if self.conditions.is_empty() { "" } else { " (on conditions)" })
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({self})")
    }
}
