//! `subscribe`: watches topics and prints events.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use super::args::{ActionArg, CatchUpArg, Global, LifecycleArg, Options, OutputArg, SubscribeArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Format, Printer, Sub, Summary};
use super::selection::{self, Pairing, Selection};
use super::settings::{Login, Settings, colour};
use super::signals::{Signal, Signals};
use super::sink::Sink;
use super::{keep_renewed, report};
use crate::{Action, Client, Error, Event, Realtime, Severity, Subscription, Topic, TopicKind, is_record_id};

/// How many events are printed before anything else gets its turn.
const BATCH: usize = 1024;

/// After a signal, a reader that does not read is not waited for any longer.
const SIGNAL_GRACE: Duration = Duration::from_millis(100);

/// On a terminal a feed that is quiet for so long is said to be.
const QUIET: Duration = Duration::from_mins(5);

/// Why a watch ends.
enum End {
    Count,
    Duration,
    Timeout,
    IdleTimeout,
    Signal(Signal),
    Pipe,
    Unsubscribed,
    /// An unfilled gap: which topics.
    Gap(Vec<String>),
    Library(Error),
    Io(io::Error),
}

pub(crate) async fn subscribe(args: SubscribeArgs, global: Global) -> Result<Exit> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let settings = Settings::resolve(global, None)?;
    let selection = selection::resolve(&args.topics, &args.options, &settings, Pairing::Allowed)?;
    let login = settings.login(args.guest)?;
    let client = settings.signed_in(&login)?;
    say_beforehand(&selection, &args.options, &login, &settings);

    let deadline = args.timeout.map(|timeout| started + timeout);
    let prepared = tokio::select! {
        prepared = prepare(&client, &selection, &args, &settings, &login) => prepared?,
        signal = signals.next() => return Ok(signal.exit()),
        () = until(deadline) => {
            return Err(Failure::new(Exit::Timeout, "timed out before the watch was live").into());
        }
    };
    if let Some(exit) = prepared {
        return Ok(exit);
    }

    let realtime = Realtime::builder(&client)
        .max_retries(args.max_retries)
        .max_backoff(args.max_backoff)
        .reconnect(!args.no_reconnect)
        .catch_up(args.catch_up == CatchUpArg::Auto)
        .build();
    let subscription =
        realtime.watch(selection.topics.iter().cloned()).map_err(|error| report::explain(&error, &settings))?;
    let watch = Watch::new(&args, &settings, &selection, &login, &client, started)?;
    watch.run(subscription, &mut signals).await
}

/// What is worth a word before anything is sent.
fn say_beforehand(selection: &Selection, options: &Options, login: &Login, settings: &Settings) {
    let custom = |topic: &Topic| matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect);
    if options.any() && selection.topics.iter().all(custom) {
        report::warning(settings, "options such as --filter apply to topics of collections, and there is none");
    }
    if let Login::Foreign(origin) = login {
        report::warning(
            settings,
            &format!(
                "the profile's login belongs to {origin} and is not sent to {}: watching as a guest",
                settings.url
            ),
        );
    }
    for topic in &selection.topics {
        if matches!(topic.kind(), TopicKind::Custom(_)) && topic.has_options() {
            report::warning(
                settings,
                &format!(
                    "{topic} with options is another topic to the server: the hook must send to exactly these options"
                ),
            );
        }
    }
}

/// Proves the login and checks the topics. An exit code where that ends it.
async fn prepare(
    client: &Client,
    selection: &Selection,
    args: &SubscribeArgs,
    settings: &Settings,
    login: &Login,
) -> Result<Option<Exit>> {
    let renewed = match crate::auth::verify(client).await {
        Ok(renewed) => renewed,
        // The retries are the connection's business.
        Err(error) if error.is_transient() && args.max_retries > 0 => return Ok(None),
        Err(error) => return Err(report::explain(&error, settings).into()),
    };
    keep_renewed(settings, login, client, renewed);
    if args.no_check {
        return Ok(None);
    }
    let verdicts = match client.check(&selection.topics).await {
        Ok(verdicts) => verdicts,
        Err(error) if error.is_transient() && args.max_retries > 0 => return Ok(None),
        Err(error) => return Err(report::explain(&error, settings).into()),
    };
    if let Some((collection, second)) = &selection.pair {
        let name = second.split('?').next().unwrap_or_default();
        // Only a word that could be a collection's name is asked about.
        if matches!(Topic::custom(name).kind(), TopicKind::Bare(_))
            && !is_record_id(name)
            && client.check(&[Topic::collection(name)]).await.is_ok_and(|verdicts| verdicts[0].code != "not-found")
        {
            return Err(Failure::new(
                Exit::Topic,
                format!("{name} is a collection itself, not a record of {collection}"),
            )
            .hint(format!("to watch both: subscribe '{collection}/*' '{name}/*'"))
            .into());
        }
    }
    let mut refused = false;
    for (verdict, topic) in verdicts.iter().zip(&selection.topics) {
        let text = format!("{}: {}", verdict.topic, verdict.message);
        match verdict.severity {
            Severity::Error => {
                report::line("error:", &text);
                if let Some(hint) = verdict.hint.clone().or_else(|| hint(verdict.code, settings, login)) {
                    report::line("hint:", &hint);
                }
                refused = true;
            }
            Severity::Warning => report::warning(settings, &text),
            Severity::Note if !matches!(topic.kind(), TopicKind::Custom(_)) => report::note(settings, &text),
            _ => {}
        }
    }
    Ok(refused.then_some(Exit::Topic))
}

/// What mends a refused topic.
fn hint(code: &str, settings: &Settings, login: &Login) -> Option<String> {
    match code {
        "forbidden" if matches!(login, Login::Guest | Login::Foreign(_)) => {
            Some(format!("sign in: bosbase-watch login {} --superuser", settings.url))
        }
        "forbidden" => Some(format!("use a superuser's login: bosbase-watch login {} --superuser", settings.url)),
        "not-found" => Some("bosbase-watch topics lists the collections, with a superuser's login".into()),
        "record-not-found" => Some("a record that does not exist yet can be watched with --no-check".into()),
        "bad-filter" => Some("text stands in quotes: --filter 'status = \"open\"'".into()),
        _ => None,
    }
}

/// A watch that is running.
struct Watch<'a> {
    settings: &'a Settings,
    client: &'a Client,
    login: &'a Login,
    printer: Printer,
    /// Pretty text for people, on stderr.
    people: Option<Printer>,
    lifecycle: LifecycleArg,
    sink: Sink,
    actions: Vec<Action>,
    fail_on_gap: bool,
    /// Stdout and stderr are likely the same screen.
    on_terminal: bool,
    out: Vec<u8>,
    count: Option<u64>,
    duration: Option<Duration>,
    timeout_at: Option<Instant>,
    idle_timeout: Option<Duration>,
    started: Instant,
    live_at: Option<Instant>,
    last_event: Option<Instant>,
    /// When the quiet line is due next.
    quiet_at: Option<Instant>,
    quiet_for: Duration,
    events: u64,
    reconnects: u64,
    gaps: u64,
}

impl<'a> Watch<'a> {
    fn new(
        args: &SubscribeArgs,
        settings: &'a Settings,
        selection: &Selection,
        login: &'a Login,
        client: &'a Client,
        started: Instant,
    ) -> Result<Self> {
        let terminal = io::stdout().is_terminal();
        let format = match args.output {
            OutputArg::Auto if terminal => Format::Pretty,
            OutputArg::Pretty => Format::Pretty,
            OutputArg::Auto | OutputArg::Ndjson => Format::Ndjson,
            OutputArg::Raw => Format::Raw,
        };
        let labels = labels(&selection.topics);
        let options = |format, terminal: bool, colour| output::Options {
            format,
            terminal,
            colour,
            width: if terminal { terminal_width() } else { None },
            diff: !args.no_diff,
            verbose: settings.global.verbose > 0,
            zone: jiff::tz::TimeZone::system(),
            terminator: b'\n',
            subs: labels.clone(),
        };
        let talks = args.lifecycle == LifecycleArg::Stderr && settings.talks();
        let on_stderr = io::stderr().is_terminal();
        Ok(Self {
            settings,
            client,
            login,
            printer: Printer::new(options(format, terminal, colour(settings.global.color, terminal))),
            people: talks
                .then(|| Printer::new(options(Format::Pretty, on_stderr, colour(settings.global.color, on_stderr)))),
            lifecycle: args.lifecycle,
            sink: Sink::start().context("cannot start the thread for stdout")?,
            actions: args
                .action
                .iter()
                .map(|action| match action {
                    ActionArg::Create => Action::Create,
                    ActionArg::Update => Action::Update,
                    ActionArg::Delete => Action::Delete,
                })
                .collect(),
            fail_on_gap: args.fail_on_gap,
            on_terminal: terminal,
            out: Vec::with_capacity(64 * 1024),
            count: args.count,
            duration: args.duration,
            timeout_at: args.timeout.map(|timeout| started + timeout),
            idle_timeout: args.idle_timeout,
            started,
            live_at: None,
            last_event: None,
            quiet_at: None,
            quiet_for: Duration::ZERO,
            events: 0,
            reconnects: 0,
            gaps: 0,
        })
    }

    async fn run(mut self, mut subscription: Subscription, signals: &mut Signals) -> Result<Exit> {
        let mut batch = Vec::with_capacity(BATCH);
        let end = loop {
            let room = self.sink.has_room();
            let (at, due) = self.next_deadline();
            tokio::select! {
                biased;
                signal = signals.next() => break End::Signal(signal),
                () = self.sink.progress() => {
                    if let Some(error) = self.sink.failure() {
                        break if error.kind() == io::ErrorKind::BrokenPipe { End::Pipe } else { End::Io(error) };
                    }
                }
                () = until(at) => match due {
                    Due::End(end) => break end,
                    Due::Quiet => self.say_quiet(),
                },
                taken = subscription.next_batch(&mut batch, BATCH), if room => {
                    if taken == 0 {
                        break End::Unsubscribed;
                    }
                    if self.on_terminal {
                        self.printer.set_width(terminal_width());
                    }
                    let end = self.take(&mut batch).await;
                    self.sink.write(&mut self.out);
                    if let Some(end) = end {
                        break end;
                    }
                }
            }
        };
        // The server forgets the client when the connection is dropped.
        drop(subscription);
        self.finish(end, signals).await
    }

    /// Prints a batch; says where the watch ends with it.
    async fn take(&mut self, batch: &mut Vec<crate::Result<Event>>) -> Option<End> {
        for event in batch.drain(..) {
            match event {
                Err(error) => return Some(End::Library(error)),
                Ok(Event::Record(event)) => {
                    self.touched();
                    if !self.actions.is_empty()
                        && event.action() != Action::Initial
                        && !self.actions.contains(&event.action())
                    {
                        continue;
                    }
                    self.printer.event(&mut self.out, &Event::Record(event));
                    self.events += 1;
                }
                Ok(event @ Event::Message(_)) => {
                    self.touched();
                    self.printer.event(&mut self.out, &event);
                    self.events += 1;
                }
                Ok(event) => {
                    self.note(&event);
                    self.say(&event).await;
                    if let (true, Event::Gap(gap)) = (self.fail_on_gap, &event)
                        && !gap.unfilled.is_empty()
                    {
                        return Some(End::Gap(gap.unfilled.clone()));
                    }
                }
            }
            if self.count.is_some_and(|count| self.events >= count) {
                return Some(End::Count);
            }
        }
        None
    }

    fn touched(&mut self) {
        let now = Instant::now();
        self.last_event = Some(now);
        self.quiet_at = Some(now + QUIET);
        self.quiet_for = Duration::ZERO;
    }

    /// What the watch itself learns from what happened to the connection.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Live(_) => {
                let now = Instant::now();
                if self.live_at.is_some() {
                    self.reconnects += 1;
                }
                self.live_at.get_or_insert(now);
                self.last_event.get_or_insert(now);
                self.quiet_at.get_or_insert(now + QUIET);
            }
            Event::Gap(_) => self.gaps += 1,
            Event::Refreshed(_) => keep_renewed(self.settings, self.login, self.client, true),
            _ => {}
        }
    }

    /// Says what happened to the connection, where that is wanted.
    async fn say(&mut self, event: &Event) {
        if self.lifecycle == LifecycleArg::Stdout {
            self.printer.event(&mut self.out, event);
        }
        if let Some(people) = &mut self.people {
            let mut text = Vec::new();
            people.event(&mut text, event);
            self.print_to_people(&text).await;
        }
    }

    /// On one screen the lines keep their order.
    async fn print_to_people(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if self.on_terminal {
            self.sink.write(&mut self.out);
            let _ = tokio::time::timeout(SIGNAL_GRACE, self.sink.flushed()).await;
        }
        let _ = io::stderr().lock().write_all(text);
    }

    fn say_quiet(&mut self) {
        self.quiet_for += QUIET;
        self.quiet_at = Some(Instant::now() + QUIET);
        if let Some(people) = &mut self.people
            && self.on_terminal
        {
            let mut text = Vec::new();
            people.quiet(&mut text, self.quiet_for);
            let _ = io::stderr().lock().write_all(&text);
        }
    }

    /// The next moment at which something is due without anything happening.
    fn next_deadline(&self) -> (Option<Instant>, Due) {
        let mut next: (Option<Instant>, Due) = (self.quiet_at, Due::Quiet);
        let mut consider = |at: Option<Instant>, end: End| {
            if let Some(at) = at
                && next.0.is_none_or(|have| at <= have)
            {
                next = (Some(at), Due::End(end));
            }
        };
        consider(self.last_event.zip(self.idle_timeout).map(|(last, idle)| last + idle), End::IdleTimeout);
        consider(self.live_at.zip(self.duration).map(|(live, duration)| live + duration), End::Duration);
        consider(self.timeout_at, End::Timeout);
        next
    }

    /// A reader that is slow gets everything, unless somebody wants out or the time is up.
    async fn flush(&self, end: &End, signals: &mut Signals) {
        let hurried = matches!(end, End::Signal(_) | End::Timeout | End::IdleTimeout);
        let grace = hurried.then(|| Instant::now() + SIGNAL_GRACE);
        tokio::select! {
            () = self.sink.flushed() => {}
            () = until(grace) => {}
            _ = signals.next() => {}
        }
    }

    /// Writes what is left, says how it ended, and says what to do about it.
    async fn finish(mut self, mut end: End, signals: &mut Signals) -> Result<Exit> {
        self.sink.write(&mut self.out);
        self.flush(&end, signals).await;
        // What was not written was not done. A reader that has gone has had enough.
        if let Some(error) = self.sink.failure().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            end = End::Io(error);
        }
        let (reason, exit) = match &end {
            End::Count => ("count", Exit::Done),
            End::Duration => ("duration", Exit::Done),
            End::Timeout => ("timeout", Exit::Timeout),
            End::IdleTimeout => ("idle-timeout", Exit::Timeout),
            End::Signal(signal) => ("signal", signal.exit()),
            End::Pipe => ("pipe", Exit::Done),
            End::Unsubscribed => ("unsubscribed", Exit::Done),
            End::Gap(_) => ("gap", Exit::Gap),
            End::Io(_) => ("error", Exit::Internal),
            End::Library(error) => match Exit::of(error) {
                Exit::Auth => ("auth", Exit::Auth),
                Exit::Topic => ("topic", Exit::Topic),
                Exit::Connect => ("connect", Exit::Connect),
                other => ("error", other),
            },
        };
        let summary = Summary {
            time: crate::now(),
            reason,
            how: match &end {
                End::Signal(signal) => signal.name().to_owned(),
                End::Count => "count reached".to_owned(),
                End::Duration => "time is up".to_owned(),
                End::Timeout => "timed out".to_owned(),
                End::IdleTimeout => "nothing came for too long".to_owned(),
                End::Pipe => "the reader has gone".to_owned(),
                End::Unsubscribed => "unsubscribed".to_owned(),
                End::Gap(_) => "a gap that was not filled".to_owned(),
                End::Library(_) | End::Io(_) => "failed".to_owned(),
            },
            exit: exit.code(),
            events: self.events,
            reconnects: self.reconnects,
            gaps: self.gaps,
            dropped: 0,
            elapsed: self.started.elapsed(),
        };
        if self.lifecycle == LifecycleArg::Stdout {
            self.printer.end(&mut self.out, &summary);
        }
        self.sink.write(&mut self.out);
        self.flush(&end, signals).await;
        // What was never live has nothing to sum up: the error says it all.
        let failed_at_once = self.live_at.is_none() && matches!(end, End::Library(_));
        if let Some(people) = self.people.as_mut().filter(|_| !failed_at_once) {
            let mut text = Vec::new();
            if matches!(end, End::Signal(Signal::Interrupt)) && io::stderr().is_terminal() {
                // The terminal has just echoed ^C.
                text.push(b'\r');
            }
            people.end(&mut text, &summary);
            let _ = io::stderr().lock().write_all(&text);
        }
        match end {
            End::Library(error) => Err(report::explain(&error, self.settings).into()),
            End::Gap(topics) => Err(Failure::new(
                Exit::Gap,
                format!("events of {} may have been missed, and cannot be read again", topics.join(", ")),
            )
            .hint("start again from a known state; without --fail-on-gap the watch goes on and says so")
            .into()),
            End::Io(error) => {
                let message = format!("cannot write to stdout after {} events: {error}", self.events);
                Err(Failure::new(Exit::Internal, message).into())
            }
            End::Timeout | End::IdleTimeout if self.people.is_none() => {
                Err(Failure::new(Exit::Timeout, summary.how).into())
            }
            _ => Ok(exit),
        }
    }
}

/// What happens when a deadline passes.
enum Due {
    Quiet,
    End(End),
}

/// A topic that is given more than once is told apart by its position.
fn labels(topics: &[Topic]) -> Vec<Option<Sub>> {
    let times = |name: &str| topics.iter().filter(|topic| topic.name() == name).count();
    topics.iter().enumerate().map(|(at, topic)| (times(topic.name()) > 1).then_some(Sub::Position(at + 1))).collect()
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| width.0.into())
}

/// Waits until then; for ever where there is no such moment.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
