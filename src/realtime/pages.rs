//! Pages of the list API, by keys and not by numbers: pages shift while
//! records change.
//!
//! Nothing is sent here but one request at a time ([`fetch`]); which one comes
//! next is for [`ById`] and [`ByUpdated`] to say.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::RecordKeys;
use crate::filter::server_time;
use crate::{Client, Error, ErrorKind, Result, Topic, TopicKind};

/// Records on a page; the server's own limit.
pub(crate) const PAGE: usize = 1000;

/// Larger pages are followed by shorter ones: memory is not for us to fill.
const LARGE: usize = 8 * 1024 * 1024;

/// A record as the list API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) updated: String,
    pub(crate) created: Option<String>,
    pub(crate) record: String,
}

/// A page that is asked for. For a topic of one record it is that one, or none.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) topic: Topic,
    /// Besides the topic's own filter; empty: none.
    pub(crate) condition: String,
    pub(crate) sort: &'static str,
    pub(crate) size: usize,
    /// Whether to count all that match.
    pub(crate) total: bool,
}

impl Request {
    /// The first records there are; for a topic of one record, that one.
    pub(crate) fn present(topic: Topic) -> Self {
        Self { topic, condition: String::new(), sort: "id", size: PAGE, total: false }
    }
}

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Listed>,
    /// There may be more.
    pub(crate) full: bool,
    pub(crate) total: Option<u64>,
    pub(crate) bytes: usize,
}

/// Asks for a page.
pub(crate) async fn fetch(client: &Client, request: Request) -> Result<Page> {
    match request.topic.kind() {
        TopicKind::Collection(name) | TopicKind::Bare(name) => list(client, &request, name).await,
        TopicKind::Record(name, id) => Ok(Page { items: one(client, &request, name, id).await?, ..Page::default() }),
        TopicKind::Custom(_) | TopicKind::Connect => Ok(Page::default()),
    }
}

async fn one(client: &Client, request: &Request, name: &str, id: &str) -> Result<Vec<Listed>> {
    let topic = &request.topic;
    if topic.option("filter").is_some_and(|filter| !filter.trim().is_empty()) {
        // Only a list takes a filter.
        let only = Request { condition: format!("id = \"{id}\""), size: 1, ..Request::present(topic.clone()) };
        return Ok(list(client, &only, name).await?.items);
    }
    match client.collection(name).view_raw(id, &with_our_fields(topic)).await {
        Ok(body) => Ok(listed(&body).into_iter().collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn list(client: &Client, request: &Request, name: &str) -> Result<Page> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
        /// The server cuts what is asked for without a word.
        per_page: Option<usize>,
        total_items: Option<i64>,
    }
    let Request { topic, condition, sort, size, total } = request;
    let mut topic = with_our_fields(topic);
    if let Some(filter) = both(topic.option("filter"), condition) {
        topic = topic.filter(filter);
    }
    let size_asked = size.to_string();
    let mut paging = vec![("page", "1"), ("perPage", size_asked.as_str()), ("sort", *sort)];
    if !total {
        paging.push(("skipTotal", "1"));
    }
    let body = client.collection(name).list_raw(&topic, &paging).await?;
    let list: List<'_> = serde_json::from_slice(&body)
        .map_err(|_| Error::new(ErrorKind::NotBosBase, "the list of records is not what a BosBase server answers"))?;
    Ok(Page {
        full: list.items.len() >= list.per_page.unwrap_or(*size).clamp(1, *size),
        total: list.total_items.and_then(|total| u64::try_from(total).ok()).filter(|_| *total),
        bytes: body.len(),
        items: list.items.iter().filter_map(|item| listed(item.get().as_bytes())).collect(),
    })
}

/// A topic's own filter and a condition of ours.
fn both(filter: Option<&str>, condition: &str) -> Option<String> {
    match filter.filter(|filter| !filter.trim().is_empty()) {
        None => (!condition.is_empty()).then(|| condition.to_owned()),
        Some(_) if condition.is_empty() => None,
        // A newline, so that a comment at the end of the filter swallows nothing.
        Some(filter) => Some(format!("({filter}\n) && {condition}")),
    }
}

fn listed(body: &[u8]) -> Option<Listed> {
    let record = String::from_utf8_lossy(body);
    let keys = RecordKeys::of(&record)?;
    let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    let (id, updated, created) = (owned(keys.id)?, owned(keys.updated).unwrap_or_default(), owned(keys.created));
    Some(Listed { id, updated, created, record: record.into_owned() })
}

/// The topic with the fields that are needed here.
fn with_our_fields(topic: &Topic) -> Topic {
    match topic.with_added_fields() {
        Some(fields) => topic.clone().fields(fields),
        None => topic.clone(),
    }
}

/// How many records the next page may have, after one of so many bytes.
fn next_size(size: usize, bytes: usize) -> usize {
    if bytes > LARGE { (size / (bytes / (LARGE / 2))).max(1) } else { size }
}

/// All records, by their ids.
#[derive(Debug)]
pub(crate) struct ById {
    topic: Topic,
    after: String,
    size: usize,
    total_known: bool,
    done: bool,
}

impl ById {
    /// Those behind this id; all of them behind none.
    pub(crate) fn new(topic: Topic, after: String) -> Self {
        Self { topic, after, size: PAGE, total_known: false, done: false }
    }

    pub(crate) fn request(&self) -> Result<Request> {
        let condition = match self.after.as_str() {
            "" => String::new(),
            after => crate::filter("id > {:id}", &[("id", after.into())])?,
        };
        Ok(Request { topic: self.topic.clone(), condition, sort: "id", size: self.size, total: !self.total_known })
    }

    /// Takes the answer to [`Self::request`].
    pub(crate) fn take(&mut self, page: Page) -> Result<Vec<Listed>> {
        self.total_known = true;
        self.size = next_size(self.size, page.bytes);
        match page.items.last() {
            Some(last) if page.full && last.id <= self.after => return Err(no_progress()),
            Some(last) if page.full => self.after.clone_from(&last.id),
            _ => self.done = true,
        }
        Ok(page.items)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Asks for less. False where that cannot be.
    pub(crate) fn shrink(&mut self) -> bool {
        shrink(&mut self.size)
    }
}

/// What changed since some moment, in the order of `updated`.
#[derive(Debug)]
pub(crate) struct ByUpdated {
    topic: Topic,
    from: String,
    /// What was taken of the records that changed at `from` itself: a stamp
    /// may be cut to milliseconds, so they are asked for again.
    taken: HashSet<String>,
    /// More records changed at `from` than a page holds: they are paged by id.
    within: Option<String>,
    /// What changed later is left out.
    until: Option<String>,
    /// The first page is refused where there is no field `created`.
    needs_created: bool,
    size: usize,
    done: bool,
}

impl ByUpdated {
    pub(crate) fn new(topic: Topic, from: String, until: Option<String>) -> Self {
        let (taken, needs_created) = (HashSet::new(), false);
        Self { topic, from, taken, within: None, until, needs_created, size: PAGE, done: false }
    }

    /// Without the field `created` nothing is to be had.
    pub(crate) fn with_created(self) -> Self {
        Self { needs_created: true, ..self }
    }

    pub(crate) fn request(&self) -> Result<Request> {
        let from = &self.from;
        let (condition, sort) = match &self.within {
            // Behind the id it changes no order. What sorts by a field that is not there is refused, by an
            // empty list as well.
            None if self.needs_created => (format!("updated >= \"{from}\""), "updated,id,created"),
            None => (format!("updated >= \"{from}\""), "updated,id"),
            Some(after) => {
                let mut condition = format!("updated >= \"{from}\" && updated < \"{}\"", next_stamp(from)?);
                if !after.is_empty() {
                    condition += &crate::filter(" && id > {:id}", &[("id", after.as_str().into())])?;
                }
                (condition, "id")
            }
        };
        Ok(Request { topic: self.topic.clone(), condition, sort, size: self.size, total: false })
    }

    /// Takes the answer to [`Self::request`]; each record once for each of its stamps.
    pub(crate) fn take(&mut self, page: Page) -> Result<Vec<Listed>> {
        self.size = next_size(self.size, page.bytes);
        self.needs_created = false;
        let mut items = page.items;
        let stands_still = |last: &Listed| match &self.within {
            Some(after) => last.id <= *after,
            None => last.updated < self.from,
        };
        if page.full && items.last().is_some_and(stands_still) {
            return Err(no_progress());
        }
        let last = items.last().map(|item| (item.id.clone(), item.updated.clone()));
        // One record comes as it is, whenever it was changed.
        items.retain(|item| item.updated > self.from || item.updated == self.from && !self.taken.contains(&item.id));
        let Some((id, updated)) = last.filter(|_| page.full) else {
            match self.within.take().map(|_| next_stamp(&self.from)) {
                Some(Ok(next)) => {
                    self.from = next;
                    self.taken.clear();
                }
                _ => self.done = true,
            }
            return Ok(items);
        };
        if self.within.is_some() {
            self.within = Some(id);
        } else if updated == self.from {
            self.taken.extend(items.iter().map(|item| item.id.clone()));
            self.within = Some(String::new());
        } else {
            self.taken = items.iter().filter(|item| item.updated == updated).map(|item| item.id.clone()).collect();
            self.done = self.until.as_ref().is_some_and(|until| updated > *until);
            self.from = updated;
        }
        Ok(items)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Asks for less. False where that cannot be.
    pub(crate) fn shrink(&mut self) -> bool {
        shrink(&mut self.size)
    }
}

/// A server that answers the same again, whatever it is asked for, would be asked for ever.
fn no_progress() -> Error {
    Error::new(ErrorKind::NotBosBase, "the list of records does not go on: the server answers a page once more")
}

fn shrink(size: &mut usize) -> bool {
    let before = *size;
    *size = (before / 10).max(1);
    *size < before
}

/// The millisecond after this one.
fn next_stamp(stamp: &str) -> Result<String> {
    let next = stamp.parse::<Timestamp>().ok().and_then(|at| at.checked_add(SignedDuration::from_millis(1)).ok());
    next.map(server_time)
        .ok_or_else(|| Error::new(ErrorKind::NotBosBase, format!("{stamp:?} is not a time as the server writes it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, updated: &str) -> Listed {
        Listed { id: id.into(), updated: updated.into(), created: None, record: String::new() }
    }

    /// Pages of two of these records, as the server answers, until it is done.
    fn all(mut pager: ByUpdated, records: &[(&str, &str)]) -> Vec<String> {
        pager.size = 2;
        let mut seen = Vec::new();
        for _ in 0..20 {
            if pager.is_done() {
                return seen;
            }
            let request = pager.request().unwrap();
            let value = |key: &str| {
                let rest = request.condition.split_once(key)?.1;
                Some(rest.trim_matches(|c| "' \"=".contains(c)).split(['"', '\'']).next().unwrap().to_owned())
            };
            let (from, to, after) = (value("updated >=").unwrap(), value("updated <"), value("id >"));
            let mut found: Vec<_> = records
                .iter()
                .filter(|(id, at)| {
                    **at >= *from
                        && to.as_deref().is_none_or(|to| *at < to)
                        && after.as_deref().is_none_or(|after| *id > after)
                })
                .collect();
            found.sort_by_key(|(id, at)| if request.sort == "id" { ("", *id) } else { (*at, *id) });
            found.truncate(request.size);
            let items: Vec<_> = found.iter().map(|(id, at)| item(id, at)).collect();
            let page = Page { full: items.len() == request.size, items, ..Page::default() };
            seen.extend(pager.take(page).unwrap().into_iter().map(|item| item.id));
        }
        panic!("it does not end: {seen:?}");
    }

    #[test]
    fn each_change_once_in_order_ties_too() {
        let at = |ms: u32| format!("2026-03-01 12:00:00.{ms:03}Z");
        let stamps: Vec<String> = (0..9).map(at).collect();
        let by = |from: usize| ByUpdated::new(Topic::collection("posts"), stamps[from].clone(), None);
        let records =
            [("e", 1), ("d", 2), ("c", 2), ("b", 2), ("a", 2), ("z", 2), ("f", 3), ("g", 5), ("h", 5), ("i", 6)];
        let records: Vec<_> = records.iter().map(|(id, at)| (*id, stamps[*at].as_str())).collect();
        assert_eq!(all(by(0), &records).join(""), "eabcdzfghi");
        assert_eq!(all(by(2), &records).join(""), "abcdzfghi");
        assert_eq!(all(by(3), &records).join(""), "fghi");
        assert_eq!(all(by(7), &records).join(""), "");
        let until = ByUpdated::new(Topic::collection("posts"), stamps[0].clone(), Some(stamps[2].clone()));
        assert!(all(until, &records).join("").starts_with("eabcdz"), "up to there at least");
    }

    #[test]
    fn the_topics_own_filter_stays() {
        assert_eq!(both(None, "id > 'a'").as_deref(), Some("id > 'a'"));
        assert_eq!(both(Some(" "), ""), None);
        assert_eq!(both(Some("a = 1 // one"), "").as_deref(), None);
        assert_eq!(both(Some("a = 1 // one"), "b = 2").as_deref(), Some("(a = 1 // one\n) && b = 2"));
    }

    #[test]
    fn large_pages_get_shorter() {
        assert_eq!(next_size(1000, 500_000), 1000);
        let shorter = next_size(1000, 80 << 20);
        assert!((20..200).contains(&shorter), "{shorter}");
        assert_eq!(next_size(1, 80 << 20), 1);
    }

    #[test]
    fn ids_are_followed_to_the_end() {
        let mut pager = ById::new(Topic::collection("posts"), String::new());
        let request = pager.request().unwrap();
        assert_eq!((request.condition.as_str(), request.sort, request.total), ("", "id", true));
        let page = Page { items: vec![item("a", ""), item("b", "")], full: true, total: Some(3), bytes: 9 };
        assert_eq!(pager.take(page).unwrap().len(), 2);
        let request = pager.request().unwrap();
        assert!(
            !pager.is_done()
                && request.condition.contains("id > ")
                && request.condition.contains('b')
                && !request.total
        );
        pager.take(Page { items: vec![item("c", "")], ..Page::default() }).unwrap();
        assert!(pager.is_done());
    }
}
