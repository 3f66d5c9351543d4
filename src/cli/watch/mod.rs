//! A watch that runs: from the subscription to stdout, and how it ends.

mod begin;
mod control;
mod cursor;
mod end;
mod exec;
mod form;
mod ledger;
mod listing;
mod prepare;
mod wait;

use std::collections::{HashSet, VecDeque};
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use self::control::{Control, Step};
use self::cursor::Cursor;
use self::end::End;
use self::exec::{Exec, Outcome};
use self::form::Form;
use self::ledger::EntryId;
use self::listing::ListingLine;
pub(crate) use self::wait::Wait;
use self::wait::{News, Waiting};
use super::args::{ActionArg, CatchUpArg, LifecycleArg, Link, Output, React, Select, Stop};
use super::exit::{Exit, Failure};
use super::jq::{Expressions, Job, Jq, Style, Verdict};
use super::output::{Format, Printer, Sub, Summary, Template};
use super::selection::{Rules, Selection};
use super::settings::{Login, Settings, colour};
use super::signals::{Signal, Signals};
use super::sink::{self, Sink};
use super::{report, seen, stderr};
use crate::realtime::present;
use crate::{Action, Client, Event, Realtime, Start, Subscription, Topic, TopicKind, Warning};

/// How many events are printed before anything else gets its turn.
const BATCH: usize = 1024;

/// After a signal, a reader that does not read is not waited for any longer.
const SIGNAL_GRACE: Duration = Duration::from_millis(100);

/// On a terminal a feed that is quiet for so long is said to be.
const QUIET: Duration = Duration::from_mins(5);

/// With whose login, on which server.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) login: Login,
    pub(crate) client: Client,
}

/// What is to be watched, and how.
pub(crate) struct Plan {
    pub(crate) selection: Selection,
    pub(crate) select: Select,
    pub(crate) stop: Stop,
    pub(crate) output: Output,
    pub(crate) react: Option<React>,
    pub(crate) link: Link,
    /// Where it is not to be watched but waited for.
    pub(crate) wait: Option<Wait>,
}

impl Plan {
    /// Watches until something ends it.
    pub(crate) async fn run(self, context: &Context, started: Instant, signals: &mut Signals) -> Result<Exit> {
        let Self { selection, select, stop, output, react, link, wait } = &self;
        // What is wrong is told before anything is connected.
        let form = Form::of(output, select, io::stdout().is_terminal())?;
        let style = Style { bare: select.raw_strings, terminal: form.terminal, terminator: form.terminator };
        let expressions = {
            let (until, fail_if) = wait.as_ref().map_or((&[][..], &[][..]), |wait| (&wait.until, &wait.fail_if));
            Expressions::parse(select.jq.as_deref(), until, fail_if, style)?
        };
        let of_template = form.template.as_ref().and_then(Template::slip);
        let slips = expressions.slips().into_iter().chain(of_template);
        for slip in slips.chain(react.as_ref().and_then(React::swallowed)) {
            report::warning(&context.settings, &slip);
        }
        let exec = match react {
            Some(react) => Exec::new(react, labels(selection))?,
            None => None,
        };
        let control = react.as_ref().and_then(|react| react.control.as_deref()).map(control::open).transpose()?;
        let (cursor, marks) = match &link.cursor {
            Some(path) => {
                let begins = !select.initial && select.since.is_none();
                let (cursor, marks) = Cursor::open(path, &selection.topics, begins, context)?;
                (Some(cursor), marks)
            }
            None => (None, None),
        };
        prepare::say_beforehand(selection, &select.options, context);
        let deadline = stop.timeout.map(|timeout| started + timeout);
        let preparing = async {
            if let Some(exit) = prepare::prepare(selection, link, context).await? {
                return Ok(Err(exit));
            }
            let start = begin::start(select, selection, marks, context).await?;
            let reads_again = link.catch_up == CatchUpArg::Auto || link.poll.is_some();
            let of_late = match start {
                // What is read again after a loss ends a wait, unless it is known to be from before.
                Start::Now if wait.is_some() && reads_again => {
                    present::of_late(&context.client, &selection.topics).await
                }
                _ => Vec::new(),
            };
            Result::<_>::Ok(Ok((start, of_late)))
        };
        let (start, of_late) = tokio::select! {
            prepared = preparing => match prepared? {
                Ok(start) => start,
                Err(exit) => return Ok(exit),
            },
            signal = signals.next() => return Ok(signal.exit()),
            () = until(deadline) => {
                return Err(Failure::new(Exit::Timeout, "timed out before the watch was live")
                    .hint("--timeout counts from the start of the process; -v shows what takes so long")
                    .into());
            }
        };
        let realtime = Realtime::builder(&context.client)
            .max_retries(link.max_retries)
            .max_backoff(link.max_backoff)
            .reconnect(!link.no_reconnect)
            .catch_up(link.catch_up == CatchUpArg::Auto)
            .hand_over_changes(true)
            .checked(!link.no_check)
            .poll(link.poll)
            .build();
        let subscription = realtime
            .subscription(selection.topics.iter().cloned())
            .start(start)
            .of_late(of_late)
            .progress(select.initial || cursor.is_some())
            .watch()
            .map_err(|error| report::explain(&error, &context.settings))?;
        let control = match control {
            Some(source) => {
                let (rules, topics) = (Rules::new(&select.options)?, subscription.topics().clone());
                let control = Control::start(source, rules, &context.client, topics, !link.no_check);
                Some(control.context("cannot start the thread for --control")?)
            }
            None => None,
        };
        let mut watch = Watch::new(&self, &form, expressions, context, started)?;
        (watch.exec, watch.control, watch.cursor) = (exec, control, cursor);
        // Whoever was killed may have left half a line, which would swallow the next one.
        if watch.cursor.is_some() && sink::ends_in_between(form.terminator) {
            watch.out.push(form.terminator);
        }
        watch.run(subscription, signals).await
    }
}

/// A watch that is running.
struct Watch<'a> {
    settings: &'a Settings,
    printer: Printer,
    /// Pretty text for people, on stderr.
    people: Option<Printer>,
    lifecycle: LifecycleArg,
    sink: Sink,
    exec: Option<Exec>,
    control: Option<Control>,
    cursor: Option<Cursor>,
    /// That it cannot be written has been said.
    cursor_failed: bool,
    /// The names of all topics that were ever watched.
    topics: Vec<String>,
    waiting: Option<Waiting>,
    actions: Vec<Action>,
    jq: Option<Jq>,
    fail_on_gap: bool,
    listing: Option<ListingLine>,
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
    /// The places of the custom topics that have brought an event.
    speaking: HashSet<usize>,
    /// Events that came and were not printed, since nobody wanted them.
    kept_back: u64,
    /// How many bytes went to the sink, and which of them end events that
    /// the system has not taken yet.
    handed_over: u64,
    unwritten: VecDeque<u64>,
    reconnects: u64,
    gaps: u64,
    /// Events that were received, and whose command has not run to its end.
    dropped: u64,
}

impl<'a> Watch<'a> {
    fn new(plan: &Plan, form: &Form, expressions: Expressions, context: &'a Context, started: Instant) -> Result<Self> {
        let Context { settings, .. } = context;
        let Plan { selection, select, stop, output, react: _, link, wait } = plan;
        let (format, terminal, terminator) = (form.format, form.terminal, form.terminator);
        let template = form.template.clone();
        let labels = labels(selection);
        let options = |format, terminal: bool| super::output::Options {
            format,
            terminal,
            colour: colour(settings.global.color, terminal),
            width: if terminal { terminal_width() } else { None },
            template: None,
            times: form.times,
            zone: form.zone(format),
            diff: !output.no_diff,
            verbose: settings.global.verbose > 0,
            terminator: b'\n',
            subs: labels.clone(),
        };
        let talks = output.lifecycle == LifecycleArg::Stderr && settings.talks();
        let people = talks.then(|| Printer::new(options(Format::Pretty, io::stderr().is_terminal())));
        Ok(Self {
            settings,
            printer: Printer::new(super::output::Options { template, terminator, ..options(format, terminal) }),
            people,
            lifecycle: output.lifecycle,
            sink: Sink::stdout().context("cannot start the thread for stdout")?,
            exec: None,
            control: None,
            cursor: None,
            cursor_failed: false,
            topics: selection.topics.iter().map(|topic| topic.name().to_owned()).collect(),
            waiting: wait.as_ref().map(|wait| Waiting::new(wait, &selection.topics, &context.client)),
            actions: select
                .action
                .iter()
                .map(|action| match action {
                    ActionArg::Create => Action::Create,
                    ActionArg::Update => Action::Update,
                    ActionArg::Delete => Action::Delete,
                })
                .collect(),
            jq: Jq::start(expressions).context("cannot start the thread for jq")?,
            fail_on_gap: link.fail_on_gap,
            listing: ListingLine::new(select.initial && talks),
            on_terminal: terminal,
            out: Vec::with_capacity(64 * 1024),
            count: stop.count,
            duration: stop.duration,
            timeout_at: stop.timeout.map(|timeout| started + timeout),
            idle_timeout: stop.idle_timeout,
            started,
            live_at: None,
            last_event: None,
            quiet_at: None,
            quiet_for: Duration::ZERO,
            events: 0,
            speaking: HashSet::new(),
            kept_back: 0,
            handed_over: 0,
            unwritten: VecDeque::new(),
            reconnects: 0,
            gaps: 0,
            dropped: 0,
        })
    }

    async fn run(mut self, mut subscription: Subscription, signals: &mut Signals) -> Result<Exit> {
        let mut batch = Vec::with_capacity(BATCH);
        let end = loop {
            let room = self.room();
            let (at, due) = self.next_deadline();
            tokio::select! {
                biased;
                signal = signals.next() => break End::Signal(signal),
                () = self.sink.progress() => {
                    if let Some(end) = self.end_of_output() {
                        break end;
                    }
                }
                () = until(at) => match due {
                    Due::End(end) => break end,
                    Due::Quiet => self.say_quiet(),
                    Due::Save => self.save_cursor().await,
                },
                outcome = command_ended(self.exec.as_mut()) => {
                    if let Some(end) = self.ended(&outcome).await {
                        break end;
                    }
                }
                // That it was done comes with the events.
                step = next_step(self.control.as_mut()), if self.live_at.is_some() => self.step(step).await,
                news = news(self.waiting.as_mut()) => match news {
                    News::Ends(end) => break end,
                    // When it is taken for gone is one of the deadlines.
                    News::Missing(topic) => self.say_gone(topic).await,
                    News::Present(event) => {
                        batch.push(Ok(event));
                        let end = self.take(&mut batch, signals).await;
                        self.hand_over();
                        if let Some(end) = end {
                            break end;
                        }
                    }
                    News::Unreadable(error) => {
                        self.warn("initial", format!("the present state cannot be read: {error}")).await;
                    }
                },
                taken = subscription.next_batch(&mut batch, room), if room > 0 => {
                    if taken == 0 {
                        break End::Unsubscribed;
                    }
                    if self.on_terminal {
                        self.printer.set_width(terminal_width());
                    }
                    let end = self.take(&mut batch, signals).await;
                    self.hand_over();
                    if let Some(end) = end {
                        break end;
                    }
                    self.draw_listing().await;
                }
            }
        };
        // The server forgets the client when the connection is dropped.
        subscription.close();
        let deadline = self.timeout_at;
        (self.duration, self.idle_timeout, self.timeout_at) = (None, None, None);
        let end = match &mut self.waiting {
            Some(waiting) => waiting.conclude(end, deadline, signals, self.settings).await,
            None => end,
        };
        let end = if self.exec.is_some() { self.work_off(end, &mut subscription, signals).await } else { end };
        drop(subscription);
        self.finish(end, signals).await
    }

    /// Enters an event that was taken, and printed or not.
    fn enter(&mut self, event: &Event) -> Option<EntryId> {
        let end = self.handed_over + self.out.len() as u64;
        self.cursor.as_mut().map(|cursor| cursor.ledger.event(event, end))
    }

    /// Writes the cursor beside the watch; where that fails, it is said once.
    async fn save_cursor(&mut self) {
        let Some(cursor) = &mut self.cursor else { return };
        let saved = cursor.save(self.sink.written()).await;
        match saved {
            Ok(()) => {}
            Err(_) if self.cursor_failed => {}
            Err(error) => {
                self.cursor_failed = true;
                self.warn("cursor", format!("the cursor is not kept: {error:#}")).await;
            }
        }
    }

    /// How many events may be taken now: what is printed has to go somewhere,
    /// and so has what a command is run for.
    fn room(&self) -> usize {
        if !self.sink.has_room() {
            return 0;
        }
        self.exec.as_ref().map_or(BATCH, Exec::room)
    }

    /// A command has ended. One that failed is told, and may end the watch.
    async fn ended(&mut self, outcome: &Outcome) -> Option<End> {
        // While there was no room for it, nothing could come.
        self.touched();
        if let (Some(cursor), Some(entry)) = (&mut self.cursor, outcome.entry) {
            let stops = self.exec.as_ref().is_some_and(|exec| exec.stops() && exec.failure(outcome).is_some());
            // One with which the watch ends is for the next one to do again.
            if outcome.has_ended() && !stops {
                cursor.ledger.done(entry);
            }
        }
        let exec = self.exec.as_ref()?;
        let (message, stops) = (exec.failure(outcome)?, exec.stops());
        if stops {
            return Some(End::Command(message));
        }
        self.warn("command", message).await;
        None
    }

    /// The watch is over, and there may be work left: commands that run, and
    /// events that were received. It is done, unless that is pointless or not
    /// wanted; a second signal ends it at once.
    async fn work_off(&mut self, mut end: End, subscription: &mut Subscription, signals: &mut Signals) -> End {
        let mut batch = Vec::with_capacity(BATCH);
        let mut takes_more = end.leaves_work();
        if let (End::Signal(_), running @ 1..) = (&end, self.exec.as_ref().map_or(0, Exec::running)) {
            let commands = if running == 1 { "the command" } else { "the commands" };
            report::note_after_signal(
                self.settings,
                &format!("{commands} and what is left is waited for; Ctrl-C again ends at once"),
            );
        }
        while takes_more || self.exec.as_ref().is_some_and(|exec| exec.running() > 0) {
            let room = self.room();
            let save = self.cursor.as_ref().and_then(Cursor::due);
            tokio::select! {
                biased;
                _ = signals.next() => {
                    if let Some(exec) = &mut self.exec {
                        self.dropped += exec.running() as u64;
                        exec.cut_short(signals).await;
                    }
                    break;
                }
                () = self.sink.progress() => {
                    if let Some(error) = self.sink.failure() {
                        takes_more = false;
                        if error.kind() != io::ErrorKind::BrokenPipe {
                            end = End::Io(error);
                        }
                    }
                }
                // Who is killed while it works must not do all of it again.
                () = until(save) => self.save_cursor().await,
                outcome = command_ended(self.exec.as_mut()) => {
                    if let Some(failed) = self.ended(&outcome).await {
                        takes_more = false;
                        end = failed;
                    }
                }
                taken = subscription.next_batch(&mut batch, room), if takes_more && room > 0 => {
                    let stop = self.take(&mut batch, signals).await;
                    self.hand_over();
                    if let Some(stop) = stop {
                        end = stop;
                    }
                    takes_more = taken > 0 && end.leaves_work();
                }
            }
        }
        // What is left is not done. Beyond the count, nothing was asked for.
        if matches!(end, End::Count) {
            return end;
        }
        while let Some(1..) = subscription.next_batch(&mut batch, BATCH).now_or_never() {
            self.dropped +=
                batch.drain(..).filter(|event| event.as_ref().is_ok_and(|event| self.wants(event))).count() as u64;
        }
        end
    }

    fn end_of_output(&self) -> Option<End> {
        end_of(&self.sink, self.waiting.is_some())
    }

    /// Where a wait is over without an answer: all that it is for was deleted.
    async fn deletion(&mut self, event: &Event) -> Option<End> {
        let topic = self.waiting.as_mut()?.note(event)?;
        let now = Instant::now();
        let end = self.waiting.as_ref()?.deadline().filter(|(at, _)| *at <= now);
        if end.is_none() {
            self.say_gone(Some(topic)).await;
        }
        end.map(|(_, end)| end)
    }

    /// Says of which topic nothing more comes, while something may come of others.
    async fn say_gone(&mut self, topic: Option<String>) {
        if let Some(topic) = topic.filter(|_| self.waiting.as_ref().is_some_and(Waiting::may_come)) {
            self.warn("topic-silent", format!("{topic} is deleted: only the other topics are waited for")).await;
        }
    }

    /// Whether it is an event of the feed that is printed.
    fn wants(&self, event: &Event) -> bool {
        match event {
            Event::Record(event) => {
                self.actions.is_empty() || event.action() == Action::Initial || self.actions.contains(&event.action())
            }
            Event::Message(_) => true,
            _ => false,
        }
    }

    /// Does what a line of `--control` asks for.
    async fn step(&mut self, step: Step) {
        match step {
            Step::Warn(code, message) => self.warn(code, message).await,
            Step::Note(text) => report::note(self.settings, &text),
            Step::Add(number, topic) => {
                // Who came first keeps its label, also where it has none.
                let again = self.topics.iter().any(|name| name == topic.name());
                self.topics.push(topic.name().to_owned());
                let sub = again.then_some(Sub::Position(self.topics.len()));
                self.printer.add_sub(sub.clone());
                if let Some(people) = &mut self.people {
                    people.add_sub(sub.clone());
                }
                if let Some(exec) = &mut self.exec {
                    exec.add_sub(sub);
                }
                if self.cursor.is_some() {
                    report::note(
                        self.settings,
                        &format!("{topic} was added while it runs: --cursor does not remember how far it got"),
                    );
                }
                if let Some(control) = &mut self.control {
                    control.add(number, topic);
                }
            }
        }
    }

    async fn warn(&mut self, code: &'static str, message: String) {
        self.say(&Event::Warning(Warning { time: crate::now(), code, message })).await;
        self.hand_over();
    }

    /// Prints a batch; says where the watch ends with it.
    async fn take(&mut self, batch: &mut Vec<crate::Result<Event>>, signals: &mut Signals) -> Option<End> {
        if self.on_terminal
            && let Some(line) = &mut self.listing
        {
            line.erase();
        }
        self.submit(batch);
        self.remember(batch);
        // What comes at once has come at one time, unless something is waited for in between.
        let (waits, mut touched) = (self.exec.is_some() || self.on_terminal, false);
        let mut events = batch.drain(..);
        while let Some(event) = events.next() {
            match event {
                Err(error) => return Some(End::Library(error)),
                Ok(event @ Event::Progress(_)) => {
                    self.enter(&event);
                    let Event::Progress(progress) = event else { continue };
                    if let (Some(line), Some(listing)) = (&mut self.listing, &progress.listing) {
                        line.set_total(listing.total);
                    }
                }
                Ok(event @ (Event::Record(_) | Event::Message(_))) => {
                    if waits || !std::mem::replace(&mut touched, true) {
                        self.touched();
                    }
                    if !self.wants(&event) {
                        self.kept_back += 1;
                        self.enter(&event);
                        if let Some(end) = self.deletion(&event).await {
                            return Some(end);
                        }
                        continue;
                    }
                    touched &= self.jq.as_mut().is_none_or(Jq::is_ready);
                    let verdict = match self.verdict(signals).await {
                        Ok(verdict) => verdict,
                        Err(end) => {
                            if self.exec.is_some() {
                                // Neither for this one nor for what came with it a command is run.
                                let rest = events.flatten().filter(|event| self.wants(event)).count();
                                self.dropped += 1 + rest as u64;
                            }
                            return Some(end);
                        }
                    };
                    for message in verdict.complaints {
                        self.warn("jq", message).await;
                    }
                    let dropped = verdict.printed.as_ref().is_some_and(Vec::is_empty);
                    let ends = self.waiting.as_ref().map(|wait| wait.judge(&event, verdict.met, verdict.in_doubt));
                    if dropped || matches!(ends, Some(None)) {
                        // A record's present state has not come, it was asked for.
                        let came = !matches!(&event, Event::Record(event) if event.action() == Action::Initial);
                        self.kept_back += u64::from(came);
                        self.enter(&event);
                        if let Some(end) = self.deletion(&event).await {
                            return Some(end);
                        }
                        continue;
                    }
                    match verdict.printed {
                        Some(printed) => self.out.extend_from_slice(&printed),
                        None => self.printer.event(&mut self.out, &event),
                    }
                    self.printed();
                    let entry = self.enter(&event);
                    if let (Some(line), Event::Record(event)) = (&mut self.listing, &event)
                        && event.action() == Action::Initial
                    {
                        line.count(event.topic().name());
                    }
                    if let Some(Some(end)) = ends {
                        return Some(end);
                    }
                    self.run_command(&event, entry).await;
                }
                // A wanted end: the last line stands for it.
                Ok(Event::Disconnected(event)) if event.topics.is_empty() => {}
                Ok(event) => {
                    self.note(&event);
                    self.say(&event).await;
                    if let (Event::Refreshed(_), Some(why)) = (&event, self.settings.unkept.take()) {
                        self.warn("unkept", super::unkept(&why)).await;
                    }
                    if let (Event::Live(_), Some(waiting)) = (&event, &mut self.waiting)
                        && let Err(end) = waiting.begin()
                    {
                        return Some(end);
                    }
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

    /// A custom topic that brings an event is there, and may be typed again.
    fn remember(&mut self, batch: &[crate::Result<Event>]) {
        let mut new = Vec::new();
        for event in batch.iter().flatten() {
            if let Event::Message(event) = event
                && matches!(event.topic().kind(), TopicKind::Custom(_) | TopicKind::Bare(_))
                && self.speaking.insert(event.source().index())
            {
                new.push(event.topic().name());
            }
        }
        if !new.is_empty() {
            seen::remember_customs(self.settings, &new);
        }
    }

    /// Says how far the listing is, on one screen below what was listed.
    async fn draw_listing(&mut self) {
        if !self.listing.as_ref().is_some_and(ListingLine::is_due) {
            return;
        }
        if self.on_terminal {
            let _ = tokio::time::timeout(SIGNAL_GRACE, self.sink.flushed()).await;
        }
        if let Some(line) = &mut self.listing {
            line.draw(terminal_width());
        }
    }

    /// Starts the command for an event that was printed.
    async fn run_command(&mut self, event: &Event, entry: Option<EntryId>) {
        if self.exec.is_none() {
            return;
        }
        if let (Some(cursor), Some(entry)) = (&mut self.cursor, entry) {
            cursor.ledger.hold(entry);
        }
        // On one screen the event stands before what its command prints.
        self.hand_over();
        if self.on_terminal {
            let _ = tokio::time::timeout(SIGNAL_GRACE, self.sink.flushed()).await;
        }
        if let Some(exec) = &mut self.exec {
            exec.start(event, entry);
        }
    }

    /// Has the expressions evaluated on what is wanted of a batch.
    fn submit(&mut self, batch: &[crate::Result<Event>]) {
        if self.jq.is_none() {
            return;
        }
        let mut job = Job::default();
        for event in batch.iter().flatten() {
            if self.wants(event) {
                self.printer.json(&mut job.lines, event);
                job.end_of_line();
            }
        }
        if let Some(jq) = &mut self.jq {
            jq.submit(job);
        }
    }

    /// What the expressions say of the next event. Whatever ends a watch ends
    /// it also while an expression runs.
    async fn verdict(&mut self, signals: &mut Signals) -> Result<Verdict, End> {
        let Some(jq) = &mut self.jq else { return Ok(Verdict::default()) };
        if let Some(verdict) = jq.take() {
            return verdict.map_err(End::GivenUp);
        }
        // What is there already need not wait for it.
        self.hand_over();
        let deadline = match self.next_deadline() {
            (at, Due::End(end)) => at.map(|at| (at, end)),
            (_, Due::Quiet | Due::Save) => None,
        };
        let Some(jq) = &mut self.jq else { return Ok(Verdict::default()) };
        loop {
            tokio::select! {
                biased;
                verdict = jq.next() => return verdict.map_err(End::GivenUp),
                signal = signals.next() => return Err(End::Signal(signal)),
                () = self.sink.progress() => {
                    if let Some(end) = end_of(&self.sink, self.waiting.is_some()) {
                        return Err(end);
                    }
                }
                () = until(deadline.as_ref().map(|(at, _)| *at)) => {
                    return Err(deadline.map_or(End::Timeout, |(_, end)| end));
                }
            }
        }
    }

    /// Gives what is printed to the sink.
    fn hand_over(&mut self) {
        self.handed_over += self.out.len() as u64;
        self.sink.write(&mut self.out);
        let written = self.sink.written();
        if let Some(cursor) = &mut self.cursor {
            cursor.ledger.advance(written);
        }
        while self.unwritten.pop_front_if(|end| *end <= written).is_some() {}
    }

    /// An event was printed.
    fn printed(&mut self) {
        self.events += 1;
        self.unwritten.push_back(self.handed_over + self.out.len() as u64);
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
                self.listing = None;
                if let Some(cursor) = &mut self.cursor {
                    cursor.is_live();
                }
                let now = Instant::now();
                if self.live_at.is_some() {
                    self.reconnects += 1;
                }
                self.live_at.get_or_insert(now);
                self.last_event.get_or_insert(now);
                self.quiet_at.get_or_insert(now + QUIET);
            }
            Event::Gap(_) => self.gaps += 1,
            Event::Subscribed(_) => {
                self.enter(event);
            }
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
            if io::stderr().is_terminal() {
                people.set_width(terminal_width());
            }
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
            self.hand_over();
            let _ = tokio::time::timeout(SIGNAL_GRACE, self.sink.flushed()).await;
        }
        if let Some(line) = &mut self.listing {
            line.erase();
        }
        stderr::offer(text);
        if self.on_terminal {
            let _ = tokio::time::timeout(SIGNAL_GRACE, stderr::flushed()).await;
        }
    }

    fn say_quiet(&mut self) {
        self.quiet_for += QUIET;
        self.quiet_at = Some(Instant::now() + QUIET);
        if let Some(people) = &mut self.people
            && self.on_terminal
        {
            let mut text = Vec::new();
            people.quiet(&mut text, self.quiet_for);
            stderr::offer(&text);
        }
    }

    /// The next moment at which something is due without anything happening.
    fn next_deadline(&self) -> (Option<Instant>, Due) {
        // A feed of which nothing is taken is not a quiet one.
        let takes = self.room() > 0;
        let mut next: (Option<Instant>, Due) = (self.quiet_at.filter(|_| takes), Due::Quiet);
        if let Some(save) = self.cursor.as_ref().and_then(Cursor::due)
            && next.0.is_none_or(|at| save < at)
        {
            next = (Some(save), Due::Save);
        }
        let mut consider = |at: Option<Instant>, end: End| {
            if let Some(at) = at
                && next.0.is_none_or(|have| at <= have)
            {
                next = (Some(at), Due::End(end));
            }
        };
        let idle = self.last_event.zip(self.idle_timeout).map(|(last, idle)| last + idle);
        consider(idle.filter(|_| takes || self.exec.is_none()), End::IdleTimeout);
        consider(self.live_at.zip(self.duration).map(|(live, duration)| live + duration), End::Duration);
        consider(self.timeout_at, End::Timeout);
        if let Some((at, end)) = self.waiting.as_ref().and_then(Waiting::deadline) {
            consider(Some(at), end);
        }
        next
    }

    /// A reader that is slow gets everything, unless somebody wants out or the time is up.
    async fn flush(&self, end: &End, signals: &mut Signals) {
        let is_hurried = end.is_hurried() || self.jq.as_ref().is_some_and(Jq::runs_on);
        let grace = is_hurried.then(|| Instant::now() + SIGNAL_GRACE);
        tokio::select! {
            () = self.sink.flushed() => {}
            () = until(grace) => {}
            _ = signals.next() => {}
        }
    }

    /// Writes what is left, says how it ended, and says what to do about it.
    async fn finish(mut self, mut end: End, signals: &mut Signals) -> Result<Exit> {
        self.listing = None;
        self.hand_over();
        self.flush(&end, signals).await;
        // What was not written was not done. A reader that has gone has had enough.
        if let Some(error) = self.sink.failure().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            end = End::Io(error);
            // What was not written was not printed.
            let written = self.sink.written();
            self.events -= self.unwritten.iter().filter(|end| **end > written).count() as u64;
        }
        let exit = end.exit();
        let summary = Summary {
            time: crate::now(),
            reason: end.reason(),
            how: end.how(),
            exit: exit.code(),
            events: self.events,
            reconnects: self.reconnects,
            gaps: self.gaps,
            dropped: self.dropped,
            elapsed: self.started.elapsed(),
        };
        if self.lifecycle == LifecycleArg::Stdout {
            self.printer.end(&mut self.out, &summary);
        }
        self.hand_over();
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
            stderr::write(&text);
        }
        if let Some(cursor) = self.cursor.take() {
            let saved = cursor.finish(self.sink.written()).await;
            if let Err(error) = saved {
                let what = format!("the cursor is not kept: {error:#}");
                if exit == Exit::Done {
                    return Err(Failure::new(Exit::Internal, what)
                        .hint("mend that and start again: what was printed since it was last written comes again")
                        .into());
                }
                report::warning(self.settings, &what);
            }
        }
        let silence = end::silence(self.kept_back, self.waiting.as_ref().is_some_and(Waiting::has_until));
        let is_silent = matches!(end, End::Timeout | End::IdleTimeout) && self.people.is_some() && self.events == 0;
        if let Some(failure) = end.failure(self.events, self.people.is_some(), silence.clone(), self.settings) {
            return Err(failure.into());
        }
        if is_silent {
            report::hint(self.settings, &silence);
        }
        Ok(exit)
    }
}

/// Why nothing more can be written, where that is so.
/// A wait has its exit code to tell, whether anybody reads the event or not.
fn end_of(sink: &Sink, is_wait: bool) -> Option<End> {
    let error = sink.failure()?;
    match error.kind() {
        io::ErrorKind::BrokenPipe => (!is_wait).then_some(End::Pipe),
        _ => Some(End::Io(error)),
    }
}

/// What a wait is told beside the feed; for ever where it is none.
async fn news(waiting: Option<&mut Waiting>) -> News {
    match waiting {
        Some(waiting) => waiting.news().await,
        None => std::future::pending().await,
    }
}

/// The next command that ends; for ever where there is none.
async fn command_ended(exec: Option<&mut Exec>) -> Outcome {
    match exec {
        Some(exec) => exec.next().await,
        None => std::future::pending().await,
    }
}

/// What is to be done next about a line of `--control`.
async fn next_step(control: Option<&mut Control>) -> Step {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

/// What happens when a deadline passes.
enum Due {
    Quiet,
    /// The cursor is to be written.
    Save,
    End(End),
}

/// A subscription that has a name is called by it; a topic that is given more
/// than once is told apart by its position.
fn labels(selection: &Selection) -> Vec<Option<Sub>> {
    let times = |name: &str| selection.topics.iter().filter(|topic| topic.name() == name).count();
    let label = |(at, (topic, name)): (usize, (&Topic, &Option<String>))| match name {
        Some(name) => Some(Sub::Name(name.clone())),
        None => (times(topic.name()) > 1).then_some(Sub::Position(at + 1)),
    };
    selection.topics.iter().zip(&selection.names).enumerate().map(label).collect()
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
