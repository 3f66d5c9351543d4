//! What a person is told about the connection.

use std::time::Duration;

use jiff::Timestamp;

use super::Summary;
use super::line::{Line, Style};
use super::time::duration;
use crate::{Account, Deletes, Disconnected, Event, Gap, Subscribed, Topic, TopicKind};

/// So many topics are named, the others counted.
const NAMED_TOPICS: usize = 5;
/// A connection that is still lost is told again no sooner than this, or with the first wait
/// that is as long.
const AGAIN: Duration = Duration::from_secs(10);
/// What follows the word begins here.
pub(super) const COLUMN: usize = 15;

/// As much of the past as the next line needs.
#[derive(Debug)]
pub(super) struct Connection {
    verbose: bool,
    url: String,
    state: State,
    topics: Vec<String>,
    account: Option<Account>,
    gaps: Vec<Gap>,
    /// When it was last told that there is no connection, and until when was to be waited.
    told: Option<(Timestamp, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Never connected, or closed on purpose.
    Closed,
    /// The first attempt has failed.
    Failing,
    Up,
    Lost {
        since: Timestamp,
        /// Whether it belongs to somebody else since.
        other_account: bool,
    },
}

impl Connection {
    pub(super) fn new(verbose: bool) -> Self {
        let (url, topics, gaps) = (String::new(), Vec::new(), Vec::new());
        Self { verbose, url, state: State::Closed, topics, account: None, gaps, told: None }
    }

    /// Writes what is worth a line; false where there is none.
    pub(super) fn show(&mut self, line: &mut Line<'_>, event: &Event) -> bool {
        match event {
            Event::Record(_) | Event::Message(_) | Event::Progress(_) => return false,
            Event::Connected(event) => {
                self.url.clone_from(&event.url);
                return false;
            }
            Event::Subscribed(event) => return self.subscribed(line, event),
            Event::Live(event) => match std::mem::replace(&mut self.state, State::Up) {
                State::Lost { since, other_account } => {
                    label(line, Style::Green, "●", "reconnected");
                    line.plain("after ").plain(&duration(between(since, event.time)));
                    for (style, part) in self.gaps.drain(..).flat_map(|gap| gap_parts(&gap)) {
                        line.dim(" · ").push(style, &part);
                    }
                    if other_account {
                        line.dim(" · ").plain("now as ").plain(&who(self.account.as_ref()));
                    }
                }
                _ if event.initial > 0 || event.replayed > 0 => {
                    label(line, Style::Green, "●", "live");
                    let parts = [(event.initial, "existing record", ""), (event.replayed, "change", " replayed")];
                    let parts = parts.iter().filter(|(number, ..)| *number > 0);
                    let parts: Vec<_> = parts.map(|(number, what, how)| count(*number, what) + how).collect();
                    line.plain("after ").plain(&parts.join(" and "));
                }
                _ => return false,
            },
            Event::Disconnected(event) => return self.disconnected(line, event),
            Event::Gap(gap) if matches!(self.state, State::Lost { .. }) => {
                // Said in the line that says that it is over.
                self.gaps.push(gap.clone());
                return false;
            }
            // Nothing was missed.
            Event::Gap(gap) if gap_parts(gap).is_empty() => return false,
            Event::Gap(gap) => {
                label(line, Style::Yellow, "!", "gap");
                for (at, (style, part)) in gap_parts(gap).iter().enumerate() {
                    line.dim(if at > 0 { " · " } else { "" }).push(*style, part);
                }
            }
            Event::Refreshed(_) if !self.verbose => return false,
            Event::Refreshed(event) => {
                label(line, Style::Dim, "·", "refreshed");
                line.plain("the token");
                if let Some(expires) = event.expires {
                    line.plain(", valid for ").plain(&duration(between(event.time, expires)));
                }
            }
            Event::Warning(event) => {
                label(line, Style::Yellow, "!", "warning");
                line.plain(&event.message);
            }
        }
        true
    }

    fn subscribed(&mut self, line: &mut Line<'_>, event: &Subscribed) -> bool {
        let same_account = self.account.as_ref().map(|account| (&account.id, &account.collection))
            == event.auth.as_ref().map(|account| (&account.id, &account.collection));
        let same_topics = self.topics == event.topics;
        self.account.clone_from(&event.auth);
        self.topics.clone_from(&event.topics);
        match &mut self.state {
            State::Lost { other_account, .. } => {
                *other_account |= !same_account;
                return false;
            }
            State::Up if same_topics => return false,
            State::Up => label(line, Style::Green, "●", "watching"),
            State::Closed | State::Failing => {
                label(line, Style::Green, "●", "connected");
                line.plain(&self.url).plain(" as ").plain(&who(event.auth.as_ref())).dim(" · ");
                self.state = State::Up;
            }
        }
        write_topics(line, &event.topics);
        true
    }

    fn disconnected(&mut self, line: &mut Line<'_>, event: &Disconnected) -> bool {
        if event.topics.is_empty() {
            // The wanted end: the last line stands for it.
            (self.state, self.told) = (State::Closed, None);
            self.gaps.clear();
            return false;
        }
        let word = match self.state {
            State::Up => "lost",
            State::Lost { .. } => "still lost",
            State::Closed | State::Failing => "unreachable",
        };
        self.state = match self.state {
            State::Up => State::Lost { since: event.time, other_account: false },
            State::Closed => State::Failing,
            state => state,
        };
        if word == "lost" {
            self.told = None;
        }
        if !self.is_due(event) {
            return false;
        }
        self.told = Some((event.time, event.retry.unwrap_or_default()));
        label(line, Style::Red, "○", word);
        line.plain(&event.detail).dim(" · ");
        match event.retry {
            Some(Duration::ZERO) => line.plain("retry at once"),
            Some(retry) => line.plain("retry in ").plain(&duration(retry)),
            None => line.plain("not tried again"),
        };
        if event.retry.is_some() {
            line.dim(&format!(" (attempt {})", event.attempt));
        }
        true
    }
}

impl Connection {
    /// Whether an attempt that failed is worth a line: the first one and the last one are, and
    /// in between one every so often. Programs get them all.
    fn is_due(&self, event: &Disconnected) -> bool {
        let Some((at, wait)) = self.told else { return true };
        match event.retry {
            None => true,
            _ if self.verbose => true,
            Some(retry) => between(at, event.time) >= AGAIN || (retry >= AGAIN && wait < AGAIN),
        }
    }
}

/// The line that tells quiet from dead.
pub(super) fn quiet(line: &mut Line<'_>, time: Duration) {
    label(line, Style::Dim, "·", "quiet");
    line.dim(&format!("for {}, still live", duration(time)));
}

/// The last line.
pub(super) fn ended(line: &mut Line<'_>, summary: &Summary) {
    label(line, if summary.exit == 0 { Style::Plain } else { Style::Red }, "■", "ended");
    line.plain(summary.how).dim(" · ").plain(&count(summary.events, "event"));
    for (number, what) in [(summary.reconnects, "reconnect"), (summary.gaps, "gap")] {
        if number > 0 {
            line.dim(" · ").plain(&count(number, what));
        }
    }
    if summary.dropped > 0 {
        line.dim(" · ").push(Style::Red, &format!("{} dropped", summary.dropped));
    }
    line.dim(" · ").plain(&duration(summary.elapsed));
}

fn label(line: &mut Line<'_>, style: Style, sign: &str, word: &str) {
    line.push(style, sign).plain(" ").push(style, word).pad(COLUMN);
}

/// What is known of a gap, in a few words each.
fn gap_parts(gap: &Gap) -> Vec<(Style, String)> {
    let mut parts = Vec::new();
    if gap.replayed > 0 {
        parts.push((Style::Plain, count(gap.replayed, "change") + " replayed"));
    }
    if gap.left > 0 {
        parts.push((Style::Plain, count(gap.left, "record") + " left the filter"));
    }
    if !gap.filled.is_empty() && gap.deletes == Deletes::Unknown {
        parts.push((Style::Plain, "deletions unknown".to_owned()));
    }
    if !gap.unfilled.is_empty() {
        let topics = match gap.unfilled.len() {
            0..=3 => gap.unfilled.join(", "),
            more => count(more as u64, "topic"),
        };
        let time = duration(between(gap.from, gap.to));
        parts.push((Style::Yellow, format!("{topics}: {time} not covered")));
    }
    parts
}

/// Names a few; those last that the server could not be asked about.
fn write_topics(line: &mut Line<'_>, topics: &[String]) {
    let mut names: Vec<&str> = Vec::new();
    for name in topics {
        if names.len() <= NAMED_TOPICS && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let many = names.len() > NAMED_TOPICS;
    names.truncate(NAMED_TOPICS);
    let custom = |name: &&str| matches!(Topic::custom(*name).kind(), TopicKind::Custom(_));
    let (customs, mut names): (Vec<_>, Vec<_>) = names.into_iter().partition(custom);
    let note = match customs.len() {
        0 => "",
        1 => " (custom topic, cannot be checked)",
        _ => " (custom topics, cannot be checked)",
    };
    names.extend(customs);
    line.plain(&names.join("  ")).dim(note);
    if many {
        line.dim(&format!("  … and {} more", topics.len() - NAMED_TOPICS));
    }
}

fn who(account: Option<&Account>) -> String {
    match account {
        None => "a guest".to_owned(),
        Some(account) => format!("{} ({})", account.name.as_ref().unwrap_or(&account.id), account.collection),
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    // Clocks are set back: that is no time then.
    to.duration_since(from).try_into().unwrap_or_default()
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::line::Palette;
    use super::super::tests::{account, at, lifecycle_events, summary};
    use super::*;
    use crate::{Cause, ClientId, Connected, Live, Refreshed, Warning};

    fn show(connection: &mut Connection, events: &[Event]) -> String {
        let (mut out, palette) = (Vec::new(), Palette::new(false));
        for event in events {
            let mut line = Line::new(&mut out, &palette, None);
            if connection.show(&mut line, event) {
                line.finish(b'\n');
            }
        }
        String::from_utf8(out).unwrap()
    }

    fn shown(events: &[Event]) -> String {
        show(&mut Connection::new(false), events)
    }

    fn connected() -> Event {
        let client_id = ClientId::new("k3fabc".into());
        Event::Connected(Connected { time: at(0), url: "https://api.example.com".into(), client_id })
    }

    fn subscribed(topics: &[&str], auth: Option<Account>) -> Event {
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        Event::Subscribed(Subscribed { time: at(0), topics, auth })
    }

    fn live(millis: i64, initial: u64, replayed: u64) -> Event {
        Event::Live(Live { time: at(millis), initial, replayed })
    }

    fn lost(millis: i64, attempt: u32, retry: Option<u64>) -> Event {
        Event::Disconnected(Disconnected {
            time: at(millis),
            topics: vec!["posts/*".into()],
            cause: Cause::Reset,
            detail: "connection reset".into(),
            retry: retry.map(Duration::from_millis),
            attempt,
        })
    }

    fn gap(filled: &[&str], unfilled: &[&str], replayed: u64) -> Event {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (filled, unfilled) = (names(filled), names(unfilled));
        let left = replayed;
        Event::Gap(Gap {
            time: at(0),
            from: at(0),
            to: at(4100),
            filled,
            unfilled,
            replayed,
            deletes: Deletes::None,
            left,
        })
    }

    #[test]
    fn the_story_of_a_connection() {
        insta::assert_snapshot!(shown(&lifecycle_events()), @r#"
        ● connected    https://api.example.com as ann@example.com (users) · posts/*  jobs/finished (custom topic, cannot be checked)
        ○ lost         connection reset · retry in 1.2s (attempt 1)
        ● reconnected  after 4.1s · 2 changes replayed · jobs/finished: 4.1s not covered
        ! warning      mended
        ● connected    https://api.example.com as a guest · posts/*  jobs/finished (custom topic, cannot be checked)
        "#);
    }

    #[test]
    fn lost_and_found() {
        let events = [
            connected(),
            subscribed(&["posts/*"], None),
            live(0, 0, 0),
            lost(1000, 1, Some(1200)),
            lost(2000, 2, Some(0)),
            lost(11_500, 3, Some(0)),
            connected(),
            subscribed(&["posts/*"], None),
            lost(3000, 3, None),
            connected(),
            subscribed(&["posts/*"], Some(account())),
            gap(&["posts/*"], &[], 1),
            live(126_000, 0, 1),
            subscribed(&["posts/*"], Some(account())),
            subscribed(&["posts/*", "comments/*"], Some(account())),
            gap(&[], &["a", "b", "c", "d"], 0),
            lost(127_000, 1, Some(1)),
            live(127_040, 0, 0),
        ];
        insta::assert_snapshot!(shown(&events), @r#"
        ● connected    https://api.example.com as a guest · posts/*
        ○ lost         connection reset · retry in 1.2s (attempt 1)
        ○ still lost   connection reset · retry at once (attempt 3)
        ○ still lost   connection reset · not tried again
        ● reconnected  after 2m05s · 1 change replayed · 1 record left the filter · now as ann@example.com (users)
        ● watching     posts/*  comments/*
        ! gap          4 topics: 4.1s not covered
        ○ lost         connection reset · retry in 1ms (attempt 1)
        ● reconnected  after 40ms
        "#);
    }

    #[test]
    fn an_outage_is_no_flood() {
        let waits = [(0, 200), (200, 400), (600, 900), (1500, 1900), (3400, 3100), (6500, 12_000), (18_500, 30_000)];
        let mut events = vec![connected(), subscribed(&["posts/*"], None), live(0, 0, 0)];
        events.extend((1..).zip(waits).map(|(attempt, (at, wait))| lost(at, attempt, Some(wait))));
        insta::assert_snapshot!(shown(&events), @r#"
        ● connected    https://api.example.com as a guest · posts/*
        ○ lost         connection reset · retry in 0.2s (attempt 1)
        ○ still lost   connection reset · retry in 12s (attempt 6)
        ○ still lost   connection reset · retry in 30s (attempt 7)
        "#);
        // Under -v it is one line for each attempt.
        assert_eq!(show(&mut Connection::new(true), &events).lines().count(), 1 + waits.len());
        // Another loss is told at once.
        events.extend([live(50_000, 0, 0), lost(50_001, 1, Some(1))]);
        assert!(shown(&events).ends_with("○ lost         connection reset · retry in 1ms (attempt 1)\n"));
    }

    #[test]
    fn never_reached() {
        let events = [
            lost(0, 1, Some(500)),
            lost(0, 2, Some(1000)),
            connected(),
            subscribed(&["posts/*"], None),
            live(9, 3, 0),
            live(9, 1, 1),
        ];
        insta::assert_snapshot!(shown(&events), @r#"
        ○ unreachable  connection reset · retry in 0.5s (attempt 1)
        ● connected    https://api.example.com as a guest · posts/*
        ● live         after 3 existing records
        ● live         after 1 existing record and 1 change replayed
        "#);
    }

    #[test]
    fn closed_on_purpose_is_silent() {
        let closed = Event::Disconnected(Disconnected {
            time: at(0),
            topics: vec![],
            cause: Cause::Closed,
            detail: "unsubscribed".into(),
            retry: None,
            attempt: 0,
        });
        let shown = shown(&[connected(), subscribed(&["a/*"], None), closed, connected(), subscribed(&["b/*"], None)]);
        assert_eq!(shown.lines().filter(|line| line.starts_with("● connected")).count(), 2);
        assert_eq!(shown.lines().count(), 2);
    }

    #[test]
    fn many_topics() {
        let names: Vec<_> = (0..17).map(|n| format!("c{n}/*")).collect();
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        names[0] = "jobs/done";
        names[1] = "jobs/failed";
        assert_eq!(
            shown(&[subscribed(&names, None)]).split(" · ").nth(1),
            Some("c2/*  c3/*  c4/*  jobs/done  jobs/failed (custom topics, cannot be checked)  … and 12 more\n")
        );
        assert!(shown(&[subscribed(&["a/*", "a/*"], None)]).ends_with(" · a/*\n"));
    }

    #[test]
    fn verbose_tells_of_renewals() {
        let event = Event::Refreshed(Refreshed { time: at(0), expires: Some(at(845_000)) });
        assert_eq!(shown(std::slice::from_ref(&event)), "");
        assert_eq!(show(&mut Connection::new(true), &[event]), "· refreshed    the token, valid for 14m05s\n");
    }

    #[test]
    fn hostile_details_are_escaped() {
        let event = Event::Warning(Warning { time: at(0), code: "x", message: "a\n\x1b[2Jb".into() });
        assert_eq!(shown(&[event]), "! warning      a\\n\\x1b[2Jb\n");
    }

    #[test]
    fn the_last_line() {
        let show = |summary: &Summary| {
            let (mut out, palette) = (Vec::new(), Palette::new(false));
            let mut line = Line::new(&mut out, &palette, None);
            ended(&mut line, summary);
            line.finish(b'\n');
            quiet(&mut Line::new(&mut out, &palette, None), Duration::from_mins(5));
            String::from_utf8(out).unwrap()
        };
        let few = Summary { events: 1, reconnects: 0, gaps: 0, dropped: 3, ..summary() };
        insta::assert_snapshot!([show(&summary()), show(&few)].join("\n"), @r#"
        ■ ended        ^C · 128 events · 2 reconnects · 1 gap · 14m05s
        · quiet        for 5m, still live
        ■ ended        ^C · 1 event · 3 dropped · 14m05s
        · quiet        for 5m, still live
        "#);
    }
}
