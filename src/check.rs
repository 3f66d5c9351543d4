//! Why a topic would stay silent.
//!
//! The server answers 204 to every subscription, also to one that can never
//! deliver. A list request with the same options is the only feedback there is.

mod names;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use self::names::{Known, Unknown};
use crate::api::CollectionInfo;
use crate::topic::is_collection_name;
use crate::tree::Tree;
use crate::{Client, Error, ErrorKind, Result, Topic, TopicKind};

/// How many topics are checked at once.
const PARALLEL: usize = 16;

/// How bad it is.
///
/// ```
/// use bosbase_watch::Severity;
///
/// assert!(Severity::Error > Severity::Warning && Severity::Note > Severity::Ok);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing stands against it; for a superuser's login, it will deliver.
    Ok,
    /// It will, as far as can be known; there is something to say.
    Note,
    /// It may stay silent.
    Warning,
    /// It would stay silent for ever.
    Error,
}

/// What the check of a topic found.
///
/// ```no_run
/// # fn f(verdict: bosbase_watch::Verdict) {
/// println!("{}: {} ({})", verdict.topic, verdict.message, verdict.code);
/// if let Some(hint) = verdict.hint {
///     println!("  {hint}");
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verdict {
    /// The topic's name.
    pub topic: String,
    /// How bad it is.
    pub severity: Severity,
    /// For programs: a short word that stays the same.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// What would mend it, in words, where that is known.
    pub hint: Option<String>,
}

impl Verdict {
    fn new(topic: &Topic, severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { topic: topic.name().to_owned(), severity, code, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Of so many collections each is asked about; of more, for all views at once.
const FEW: usize = 4;

/// What a superuser's login lets one know: asked for where it is needed, once
/// in a check. One collection costs the server a millisecond, the list of
/// hundreds a hundred.
struct Catalogue {
    client: Client,
    is_superuser: bool,
    is_guest: bool,
    are_few: bool,
    views: OnceCell<Vec<CollectionInfo>>,
    found: Mutex<HashMap<String, Arc<OnceCell<Option<CollectionInfo>>>>>,
    names: OnceCell<Vec<String>>,
}

impl Catalogue {
    fn new(client: &Client, topics: &[Topic]) -> Self {
        let name = |topic: &'_ Topic| match topic.kind() {
            TopicKind::Collection(name) | TopicKind::Record(name, _) | TopicKind::Bare(name) => Some(name.to_owned()),
            TopicKind::Custom(_) | TopicKind::Connect => None,
        };
        let collections: HashSet<String> = topics.iter().filter_map(name).collect();
        Self {
            client: client.clone(),
            is_superuser: client.auth().is_superuser(),
            is_guest: client.auth().token().is_none(),
            are_few: collections.len() <= FEW,
            views: OnceCell::new(),
            found: Mutex::default(),
            names: OnceCell::new(),
        }
    }

    /// A collection by its name or id. The server does not mind the case here.
    async fn find(&self, name: &str) -> Option<CollectionInfo> {
        if !self.is_superuser {
            return None;
        }
        let cell = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(name.to_owned()).or_default())
        };
        cell.get_or_init(|| async { self.client.collection(name).described().await.ok() }).await.clone()
    }

    /// Its name, where it is a view.
    async fn view(&self, name: &str) -> Option<String> {
        if !self.is_superuser {
            return None;
        }
        if self.are_few {
            return self.find(name).await.filter(|found| found.kind == "view").map(|view| view.name);
        }
        let views = self.views.get_or_init(|| async { self.client.views().await.unwrap_or_default() }).await;
        let is_it = |view: &&CollectionInfo| [&view.name, &view.id].iter().any(|have| have.eq_ignore_ascii_case(name));
        views.iter().find(is_it).map(|view| view.name.clone())
    }

    async fn nearest(&self, name: &str) -> Option<&str> {
        if !self.is_superuser {
            return None;
        }
        let all = || async { self.client.collections().await.unwrap_or_default() };
        let names = || async { all().await.into_iter().map(|collection| collection.name).collect() };
        nearest(name, self.names.get_or_init(names).await.iter().map(String::as_str))
    }

    /// The collection, and those that the names in a topic's options lead to.
    async fn schema(&self, topic: &Topic, name: &str) -> Schema {
        let mut all: Vec<CollectionInfo> = Vec::new();
        // An old server has another form of schema, which says nothing here.
        let Some(start) = self.find(name).await.filter(|collection| !collection.fields.is_empty()) else {
            return Schema(all);
        };
        all.push(start.clone());
        for path in names::paths(topic) {
            let mut here = start.clone();
            for step in path {
                let Some(next) = names::leads_to(&here, step) else { break };
                let Some(next) = self.find(next).await else { break };
                if all.iter().all(|have| have.id != next.id) {
                    all.push(next.clone());
                }
                here = next;
            }
        }
        Schema(all)
    }
}

/// The collections that are known, first the one in question.
struct Schema(Vec<CollectionInfo>);

impl Schema {
    /// What is known of the collection, with a record of it where one came.
    fn with<'a>(&'a self, record: Option<&'a Record>) -> Known<'a> {
        Known { records: record.into_iter().collect(), collection: self.0.first(), all: &self.0 }
    }
}

type Record = Map<String, Value>;

impl Client {
    /// Checks topics with the present login, in parallel, and says for each
    /// whether and why it would stay silent. Nothing is subscribed.
    ///
    /// One request a topic when all is well, a second to tell causes apart; a
    /// superuser's asks for the description of each collection as well.
    /// An error is one of the server or the network, not of a topic.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Client, Severity, Topic};
    ///
    /// let client = Client::new("http://127.0.0.1:8090")?;
    /// for verdict in client.check(&[Topic::collection("posst")]).await? {
    ///     if verdict.severity == Severity::Error {
    ///         println!("{}: {}", verdict.topic, verdict.message);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn check(&self, topics: &[Topic]) -> Result<Vec<Verdict>> {
        let catalogue = Arc::new(Catalogue::new(self, topics));
        let verdicts: Vec<_> = stream::iter(topics.to_vec())
            .map(|topic| {
                let (client, catalogue) = (self.clone(), Arc::clone(&catalogue));
                async move { client.check_one(&topic, &catalogue).await }
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        verdicts.into_iter().collect()
    }

    async fn check_one(&self, topic: &Topic, catalogue: &Catalogue) -> Result<Verdict> {
        match topic.kind() {
            TopicKind::Connect => Ok(Verdict::new(topic, Severity::Ok, "connect", "the connection itself")),
            TopicKind::Custom(name) => self.check_custom(topic, name, catalogue).await,
            TopicKind::Collection(name) => self.check_collection(topic, name, catalogue).await,
            TopicKind::Record(name, id) => self.check_record(topic, name, id, catalogue).await,
            TopicKind::Bare(name) => {
                let verdict = self.check_collection(topic, name, catalogue).await?;
                Ok(match verdict.code {
                    "not-found" => Verdict {
                        severity: Severity::Note,
                        code: "custom",
                        message: format!(
                            "no collection is called {name}: taken as a custom topic, which cannot be checked"
                        ),
                        ..verdict
                    },
                    "ok" => {
                        Verdict::new(topic, Severity::Note, "collection", format!("the collection {name}, as {name}/*"))
                    }
                    "empty" => Verdict {
                        code: "collection",
                        message: format!("the collection {name}, as {name}/*: {}", verdict.message),
                        ..verdict
                    },
                    _ => verdict,
                })
            }
        }
    }

    /// Nothing can be known of a custom topic, but that it is not what it looks like.
    async fn check_custom(&self, topic: &Topic, name: &str, catalogue: &Catalogue) -> Result<Verdict> {
        let custom = Verdict::new(
            topic,
            Severity::Note,
            "custom",
            "a custom topic, which cannot be checked: it speaks when a hook sends to it",
        );
        if let Some(hint) = misread(name) {
            let message = "taken as a custom topic of exactly this name, which cannot be checked";
            return Ok(Verdict::new(topic, Severity::Note, "custom-misread", message).hint(hint));
        }
        // `posts.*`, `/posts/*`: as other systems have it. A topic that a hook sends to may be called so.
        let wildcard = || {
            let message = "taken as a custom topic of exactly this name, which cannot be checked";
            Verdict::new(topic, Severity::Note, "custom-wildcard", message)
                .hint("all records of a collection are 'COLLECTION/*'; nothing else has wildcards")
        };
        let has_wildcard = |text: &str| text.contains(['*', '#', '%', '+']);
        // `jobs/finished` beside a collection `jobs`; a slip, or an id of another shape.
        let (collection, rest) = name.split_once('/').unwrap_or_default();
        if !is_collection_name(collection) || rest.contains('/') {
            return Ok(if has_wildcard(name) || name.starts_with('/') { wildcard() } else { custom });
        }
        let beside = || {
            // Almost a star, or almost an id of 15 or 36 characters.
            let is_slip = rest.is_empty() || has_wildcard(rest) || matches!(rest.len(), 13..=17 | 32..=38);
            let message = if is_slip {
                format!("not a record of {collection}: taken as a custom topic, which cannot be checked")
            } else {
                "a custom topic, which cannot be checked: it speaks when a hook sends to it".to_owned()
            };
            let verdict = Verdict::new(topic, Severity::Note, "custom-beside-collection", message);
            if is_slip {
                return verdict.hint(format!("all of its records are '{collection}/*', one is '{collection}/ID'"));
            }
            verdict
        };
        let found = if rest.is_empty() {
            // Asked for without an id, it would be the list.
            self.list_one(topic, collection, false).await.map(|_| None)
        } else {
            self.view_one(topic, collection, rest).await.map(Some)
        };
        match found {
            Ok(Some(record)) => {
                let verdict = found_one(topic, collection, Some(&record), catalogue).await;
                if verdict.severity > Severity::Note {
                    return Ok(verdict);
                }
                let message =
                    format!("a record of {collection}, by its id's shape a custom topic: its events come as messages");
                Ok(Verdict::new(topic, Severity::Note, "record-as-custom", message))
            }
            Ok(None) => Ok(beside()),
            Err(error) if is_of_collection(&error) && has_wildcard(rest) => Ok(wildcard()),
            Err(error) if is_of_collection(&error) => Ok(custom),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Which of the two is missing, on a server that words it otherwise.
                let is_there =
                    self.list_one(topic, collection, false).await.map_or_else(|error| !is_missing(&error), |_| true);
                Ok(if is_there { beside() } else { custom })
            }
            Err(error) if error.kind() == ErrorKind::Forbidden => Ok(beside()),
            // It does without an answer.
            Err(_) => Ok(custom),
        }
    }

    async fn check_collection(&self, topic: &Topic, name: &str, catalogue: &Catalogue) -> Result<Verdict> {
        let (view, listed) = join(catalogue.view(name), self.list_one(topic, name, true)).await;
        if let Some(view) = view {
            return Ok(is_view(topic, &view));
        }
        match listed {
            Ok(record) => Ok(found_one(topic, name, record.as_ref(), catalogue).await),
            Err(error) if is_missing(&error) => self.missing(topic, name, catalogue, &error).await,
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                // A filter with @request or @collection is for superusers too.
                if topic.option("filter").is_some() && self.list_one(topic, name, false).await.is_ok() {
                    return Ok(bad_filter(topic, "it uses what only a superuser may: @request or @collection")
                        .hint("put the value itself into the filter, with {:name} and --param name=VALUE"));
                }
                Ok(forbidden(topic, "listed", name))
            }
            Err(error) if error.kind() == ErrorKind::BadRequest => {
                if let Some(filter) = topic.option("filter")
                    && let Ok(record) = self.list_one(topic, name, false).await
                {
                    let schema = catalogue.schema(topic, name).await;
                    return Ok(refused_filter(topic, filter, &schema.with(record.as_ref()), name));
                }
                Ok(Verdict::new(topic, Severity::Error, "refused", error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn check_record(&self, topic: &Topic, name: &str, id: &str, catalogue: &Catalogue) -> Result<Verdict> {
        let (view, viewed) = join(catalogue.view(name), self.view_one(topic, name, id)).await;
        if let Some(view) = view {
            return Ok(is_view(topic, &view));
        }
        match viewed {
            Ok(record) => {
                if topic.option("filter").is_some() {
                    let list = self.check_collection(topic, name, catalogue).await?;
                    if list.code == "bad-filter" {
                        return Ok(list);
                    }
                }
                Ok(found_one(topic, name, Some(&record), catalogue).await)
            }
            Err(error) if error.kind() == ErrorKind::Forbidden => Ok(forbidden(topic, "viewed", name)),
            Err(error) if is_of_collection(&error) => Ok(missing(topic, name, catalogue).await),
            Err(error) if error.kind() == ErrorKind::NotFound => match self.list_one(topic, name, false).await {
                Err(error) if is_missing(&error) => self.missing(topic, name, catalogue, &error).await,
                Err(error) if error.is_transient() => Err(error),
                _ => Ok(Verdict::new(
                    topic,
                    Severity::Error,
                    "record-not-found",
                    format!("{name} has no record {id}, or this login may not see it"),
                )),
            },
            Err(error) => Err(error),
        }
    }

    /// There is no such collection, unless it is the server that is another.
    async fn missing(&self, topic: &Topic, name: &str, catalogue: &Catalogue, error: &Error) -> Result<Verdict> {
        if !is_of_collection(error) {
            self.health().await?;
        }
        Ok(missing(topic, name, catalogue).await)
    }

    /// A record of the collection, where there is one that this login may see.
    async fn list_one(&self, topic: &Topic, name: &str, with_filter: bool) -> Result<Option<Record>> {
        let page = self.collection(name).probe(Some(&probe(topic, with_filter)), &[]).await?;
        Ok(page.items.into_iter().next().map(|Tree(record)| record))
    }

    async fn view_one(&self, topic: &Topic, name: &str, id: &str) -> Result<Record> {
        self.collection(name).view(id, Some(&probe(topic, true))).await
    }
}

/// What a topic is asked about with. A record is wanted whole where its names are to be judged.
fn probe(topic: &Topic, with_filter: bool) -> Topic {
    let mut probe = Topic::custom(topic.name());
    for (key, value) in topic.options() {
        if key != "fields" && (with_filter || key != "filter") {
            probe = probe.query(key, value);
        }
    }
    for (header, value) in topic.headers() {
        probe = probe.header(header, value);
    }
    let judged = ["expand", "fields"].iter().any(|key| topic.option(key).is_some());
    if judged || (!with_filter && topic.option("filter").is_some()) {
        return probe;
    }
    probe.fields("id,collectionId,collectionName")
}

/// What was meant by something that is written like no topic: a list, a URL, a path of the API.
fn misread(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split(',').map(str::trim).collect();
    let is_topic = |part: &&str| !matches!(Topic::custom(*part).kind(), TopicKind::Custom(_));
    if parts.len() > 1 && parts.iter().all(is_topic) {
        let quoted: Vec<_> = parts.iter().map(|part| format!("'{part}'")).collect();
        return Some(format!("each topic is an argument of its own: {}", quoted.join(" ")));
    }
    let is_url = ["http://", "https://"].iter().any(|scheme| name.starts_with(scheme));
    let of_api = name.split_once("api/collections/").filter(|(before, _)| is_url || matches!(*before, "" | "/"));
    match of_api.map(|(_, rest)| rest.split('/').next().unwrap_or_default()) {
        Some(collection) if is_collection_name(collection) => {
            Some(format!("a topic is not a URL: all records of {collection} are '{collection}/*'"))
        }
        _ if is_url => {
            Some("a topic is not a URL: the server is named with --url, and a topic is 'COLLECTION/*'".into())
        }
        _ => None,
    }
}

/// The server's 404 for a collection; a record's is worded otherwise.
fn is_of_collection(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && error.server_message().is_some_and(|said| said.contains("collection context"))
}

fn is_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

async fn missing(topic: &Topic, name: &str, catalogue: &Catalogue) -> Verdict {
    let verdict = Verdict::new(topic, Severity::Error, "not-found", format!("there is no collection {name}"));
    match catalogue.nearest(name).await {
        Some(near) => verdict.hint(format!("did you mean {near}?")),
        None => verdict,
    }
}

fn forbidden(topic: &Topic, done: &str, name: &str) -> Verdict {
    Verdict::new(
        topic,
        Severity::Error,
        "forbidden",
        format!("permission denied: records of {name} may be {done} by superusers only"),
    )
}

fn is_view(topic: &Topic, name: &str) -> Verdict {
    let message = format!("{name} is a view: the server sends no events for views");
    Verdict::new(topic, Severity::Error, "view", message).hint("watch the collections that the view reads from")
}

/// Why a filter is refused, as far as that can be told: the server gives one answer for all.
fn refused_filter(topic: &Topic, filter: &str, known: &Known<'_>, name: &str) -> Verdict {
    if let Some(slip) = names::slip(filter, known) {
        return bad_filter(topic, "it does not parse").hint(slip);
    }
    let unknown = names::in_filter(filter, known, name);
    let near = unknown.as_ref().and_then(|unknown| unknown.near.as_ref()).map(|near| format!("did you mean {near}?"));
    let hint = near.or_else(|| names::fields_instead(filter, known));
    let why = match (unknown, known.collection) {
        (Some(unknown), Some(_)) => unknown.message,
        // All names are there.
        (None, Some(_)) => "it does not parse".to_owned(),
        // A field that does not show may be hidden.
        (_, None) => "it does not parse, or names a field that does not exist or is hidden".to_owned(),
    };
    let verdict = bad_filter(topic, &why);
    match hint {
        Some(hint) => verdict.hint(hint),
        None => verdict,
    }
}

fn bad_filter(topic: &Topic, why: &str) -> Verdict {
    Verdict::new(topic, Severity::Error, "bad-filter", format!("the filter is refused: {why}"))
}

/// The collection answers, with a record or without.
async fn found_one(topic: &Topic, name: &str, record: Option<&Record>, catalogue: &Catalogue) -> Verdict {
    if let Some(verdict) = other_case(topic, name, record, catalogue).await {
        return verdict;
    }
    if ["expand", "fields"].iter().any(|key| topic.option(key).is_some())
        && let Some(verdict) = names_nothing(topic, &catalogue.schema(topic, name).await.with(record), name)
    {
        return verdict;
    }
    let has_filter = topic.option("filter").is_some();
    if record.is_none() && !catalogue.is_superuser {
        let message = match (has_filter, catalogue.is_guest) {
            (true, true) => "no record that a guest may see matches the filter now",
            (true, false) => "no record that this login may see matches the filter now",
            (false, true) => "a guest sees nothing here, or there is nothing yet",
            (false, false) => "it is empty, or this login may see none of its records, and will not hear of them",
        };
        return Verdict::new(topic, Severity::Note, "empty", message);
    }
    let message = match (record, topic.kind()) {
        // Who sees everything hears everything, and there empty means empty.
        (None, _) if has_filter => "will deliver; no record matches the filter now",
        _ if catalogue.is_superuser => "will deliver",
        // A view, or a rule that reads what only requests have, does not show from outside.
        (_, TopicKind::Record(..)) => "the record can be viewed",
        _ => "its records can be listed",
    };
    Verdict::new(topic, Severity::Ok, "ok", message)
}

/// A name in another case, which REST takes and the feed does not.
async fn other_case(topic: &Topic, name: &str, record: Option<&Record>, catalogue: &Catalogue) -> Option<Verdict> {
    let of_record = |key: &str| record.and_then(|record| record.get(key)).and_then(Value::as_str);
    let mut names: Vec<String> =
        ["collectionName", "collectionId"].into_iter().filter_map(of_record).map(str::to_owned).collect();
    if names.is_empty() {
        names.extend(catalogue.find(name).await.into_iter().flat_map(|found| [found.name, found.id]));
    }
    if names.iter().any(|real| real == name) {
        return None;
    }
    if let Some(real) = names.iter().find(|real| real.eq_ignore_ascii_case(name)) {
        return Some(
            Verdict::new(
                topic,
                Severity::Error,
                "wrong-case",
                format!("the collection is called {real}: over the feed, capitals count"),
            )
            .hint(format!("watch {} instead", topic.name().replacen(name, real, 1))),
        );
    }
    let capitals = name.bytes().any(|b| b.is_ascii_uppercase());
    (names.is_empty() && capitals).then(|| {
        Verdict::new(
            topic,
            Severity::Warning,
            "maybe-wrong-case",
            format!(
                "the name {name} has capitals, which count over the feed, and it cannot be seen whether they are right"
            ),
        )
    })
}

/// An `expand` or `fields` that matches nothing: the feed speaks, but not of what was wanted.
fn names_nothing(topic: &Topic, known: &Known<'_>, name: &str) -> Option<Verdict> {
    let (expand, fields) = (topic.option("expand"), topic.option("fields"));
    let found: Vec<Unknown> = [
        expand.and_then(|expand| names::in_expand(expand, known, name)),
        fields.and_then(|fields| names::in_fields(fields, expand.unwrap_or_default(), known, name)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let messages: Vec<&str> = found.iter().map(|unknown| unknown.message.as_str()).collect();
    let verdict = Verdict::new(topic, Severity::Warning, found.first()?.code, messages.join("; "));
    let near: Vec<&str> = found.iter().filter_map(|unknown| unknown.near.as_deref()).collect();
    Some(if near.is_empty() { verdict } else { verdict.hint(format!("did you mean {}?", near.join(", "))) })
}

/// The nearest of some names, where one is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.len() / 3).max(1);
    names
        .map(|have| (strsim::damerau_levenshtein(&name.to_lowercase(), &have.to_lowercase()), have))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, have)| have)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_topic() {
        for (name, hint) in [
            ("posts,comments", Some("each topic is an argument of its own: 'posts' 'comments'")),
            ("posts/*, comments/*", Some("each topic is an argument of its own: 'posts/*' 'comments/*'")),
            ("api/collections/posts/records", Some("a topic is not a URL: all records of posts are 'posts/*'")),
            (
                "https://h/api/collections/posts/records",
                Some("a topic is not a URL: all records of posts are 'posts/*'"),
            ),
            (
                "http://127.0.0.1:8090",
                Some("a topic is not a URL: the server is named with --url, and a topic is 'COLLECTION/*'"),
            ),
            ("a,", None),
            ("jobs/finished", None),
            ("rooms/1,2", None),
            ("my-api/collections/posts", None),
        ] {
            assert_eq!(misread(name).as_deref(), hint, "{name}");
        }
    }

    #[test]
    fn near_names() {
        let names = || ["posts", "comments", "users"].into_iter();
        assert_eq!(nearest("posst", names()), Some("posts"));
        assert_eq!(nearest("Comment", names()), Some("comments"));
        assert_eq!(nearest("invoices", names()), None);
    }
}
