//! Why a topic would stay silent.
//!
//! The server answers 204 to every subscription, also to one that can never
//! deliver. A list request with the same options is the only feedback there is.

use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

use crate::api::{CollectionInfo, Page};
use crate::{Client, ErrorKind, Result, Topic, TopicKind};

/// How many topics are checked at once.
const PARALLEL: usize = 16;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will deliver.
    Ok,
    /// It will, as far as can be known; there is something to say.
    Note,
    /// It may stay silent.
    Warning,
    /// It would stay silent for ever.
    Error,
}

/// What the check of a topic found.
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

/// What a superuser's login lets one know beforehand.
struct Catalogue(Option<Vec<CollectionInfo>>);

impl Catalogue {
    fn find(&self, name: &str) -> Option<&CollectionInfo> {
        self.0.as_ref()?.iter().find(|collection| collection.name == name || collection.id == name)
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let names = self.0.as_ref()?.iter().map(|collection| collection.name.as_str());
        nearest(name, names)
    }
}

impl Client {
    /// Checks topics with the present login, in parallel, and says for each
    /// whether and why it would stay silent. Nothing is subscribed.
    ///
    /// One request a topic when all is well, a second to tell causes apart.
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
        let catalogue = Catalogue(if self.auth().is_superuser() { self.collections().await.ok() } else { None });
        let catalogue = &catalogue;
        let verdicts: Vec<_> = stream::iter(topics)
            .map(|topic| async move { self.check_one(topic, catalogue).await })
            .buffered(PARALLEL)
            .collect()
            .await;
        verdicts.into_iter().collect()
    }

    async fn check_one(&self, topic: &Topic, catalogue: &Catalogue) -> Result<Verdict> {
        match topic.kind() {
            TopicKind::Connect => Ok(Verdict::new(topic, Severity::Ok, "connect", "the connection itself")),
            TopicKind::Custom(_) => Ok(custom(topic)),
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
                    "ok" | "empty" => {
                        Verdict::new(topic, Severity::Note, "collection", format!("the collection {name}, as {name}/*"))
                    }
                    _ => verdict,
                })
            }
        }
    }

    async fn check_collection(&self, topic: &Topic, name: &str, catalogue: &Catalogue) -> Result<Verdict> {
        if let Some(view) = catalogue.find(name).filter(|collection| collection.kind == "view") {
            return Ok(Verdict::new(
                topic,
                Severity::Error,
                "view",
                format!("{} is a view: the server sends no events for views", view.name),
            )
            .hint("watch the collections that the view reads from"));
        }
        match self.list_one(topic, name, true).await {
            Ok(page) => Ok(found(topic, name, page.items.first(), page.items.is_empty(), catalogue)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(missing(topic, name, catalogue)),
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                // A filter with @request or @collection is for superusers too.
                if topic.option("filter").is_some() && self.list_one(topic, name, false).await.is_ok() {
                    return Ok(bad_filter(topic, "it uses what only a superuser may: @request or @collection")
                        .hint("put the value itself into the filter, with {:name} and --param name=VALUE"));
                }
                Ok(forbidden(topic, "listed", name))
            }
            Err(error) if error.kind() == ErrorKind::BadRequest => {
                if topic.option("filter").is_some() && self.list_one(topic, name, false).await.is_ok() {
                    return Ok(bad_filter(
                        topic,
                        "it does not parse, or names a field that does not exist or is hidden",
                    ));
                }
                Ok(Verdict::new(topic, Severity::Error, "refused", error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn check_record(&self, topic: &Topic, name: &str, id: &str, catalogue: &Catalogue) -> Result<Verdict> {
        match self.collection(name).view(id, Some(topic)).await {
            Ok(record) => {
                if topic.option("filter").is_some() {
                    let list = self.check_collection(topic, name, catalogue).await?;
                    if list.code == "bad-filter" {
                        return Ok(list);
                    }
                }
                Ok(found(topic, name, Some(&record), false, catalogue))
            }
            Err(error) if error.kind() == ErrorKind::Forbidden => Ok(forbidden(topic, "viewed", name)),
            Err(error) if error.kind() == ErrorKind::NotFound => match self.list_one(topic, name, false).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(missing(topic, name, catalogue)),
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

    async fn list_one(&self, topic: &Topic, name: &str, with_filter: bool) -> Result<Page> {
        let mut probe = Topic::custom(topic.name());
        for (key, value) in topic.options() {
            // `expand` and `fields` never fail, and would hide what is looked at.
            if !matches!(key.as_str(), "expand" | "fields") && (with_filter || key != "filter") {
                probe = probe.query(key, value);
            }
        }
        for (header, value) in topic.headers() {
            probe = probe.header(header, value);
        }
        self.collection(name).probe(Some(&probe), &[("fields", "id,collectionId,collectionName")]).await
    }
}

fn custom(topic: &Topic) -> Verdict {
    Verdict::new(
        topic,
        Severity::Note,
        "custom",
        "a custom topic, which cannot be checked: it speaks when a hook sends to it",
    )
}

fn missing(topic: &Topic, name: &str, catalogue: &Catalogue) -> Verdict {
    let verdict = Verdict::new(topic, Severity::Error, "not-found", format!("there is no collection {name}"));
    match catalogue.nearest(name) {
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

fn bad_filter(topic: &Topic, why: &str) -> Verdict {
    Verdict::new(topic, Severity::Error, "bad-filter", format!("the filter is refused: {why}"))
}

/// The collection answers. Its name may still be spelt in another case, which
/// REST takes and the feed does not.
fn found(
    topic: &Topic,
    name: &str,
    record: Option<&Map<String, Value>>,
    empty: bool,
    catalogue: &Catalogue,
) -> Verdict {
    let text = |key: &str| record.and_then(|record| record.get(key)).and_then(Value::as_str);
    let real = text("collectionName").or_else(|| {
        let all = catalogue.0.as_ref()?.iter();
        all.map(|collection| collection.name.as_str()).find(|have| have.eq_ignore_ascii_case(name))
    });
    if let Some(real) = real
        && real != name
        && real.eq_ignore_ascii_case(name)
    {
        return Verdict::new(
            topic,
            Severity::Error,
            "wrong-case",
            format!("the collection is called {real}: over the feed, capitals count"),
        )
        .hint(format!("watch {} instead", topic.name().replacen(name, real, 1)));
    }
    if real.is_none() && catalogue.0.is_none() && name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Verdict::new(
            topic,
            Severity::Warning,
            "maybe-wrong-case",
            format!(
                "the name {name} has capitals, which count over the feed, and it cannot be seen whether they are right"
            ),
        );
    }
    // A superuser sees everything, so there empty means empty.
    if empty && catalogue.0.is_none() {
        return Verdict::new(
            topic,
            Severity::Note,
            "empty",
            "there is no record that this login may see; others may exist, and it will not hear about them",
        );
    }
    Verdict::new(topic, Severity::Ok, "ok", "will deliver")
}

/// The nearest of some names, where one is near enough to be a slip.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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
    fn near_names() {
        let names = || ["posts", "comments", "users"].into_iter();
        assert_eq!(nearest("posst", names()), Some("posts"));
        assert_eq!(nearest("Comment", names()), Some("comments"));
        assert_eq!(nearest("invoices", names()), None);
    }
}
