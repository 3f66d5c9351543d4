//! From a frame to what is printed of it, for `crate::bench`.

use super::jq::{Evaluator, Expressions, Style};
use super::output::{Format, Options, Printer};
use crate::event::{Event, Source, decode};
use crate::{Topic, now};

/// A printer, and the buffer that it prints to.
pub struct Lines {
    source: Source,
    printer: Printer,
    out: Vec<u8>,
}

impl Lines {
    /// Of NDJSON, as for a file.
    pub fn ndjson() -> Self {
        Self::of(Format::Ndjson)
    }

    /// Of pretty lines, which show of an update what changed.
    pub fn pretty() -> Self {
        Self::of(Format::Pretty)
    }

    fn of(format: Format) -> Self {
        let source = Source::new(Topic::collection("posts"), 0, Vec::new());
        Self { source, printer: Printer::new(Options { format, ..Options::default() }), out: Vec::new() }
    }

    /// The line of a frame of `posts/*`.
    pub fn line(&mut self, data: String) -> &[u8] {
        let event: Event = decode(self.source.clone(), now(), data.into());
        self.out.clear();
        self.printer.event(&mut self.out, &event);
        &self.out
    }
}

/// What `--jq` does on its thread.
pub struct Jq(Evaluator);

impl Jq {
    /// # Panics
    ///
    /// Where the expression does not parse.
    pub fn new(expression: &str) -> Self {
        let Ok(expressions) = Expressions::parse(Some(expression), &[], &[], Style::default()) else {
            panic!("{expression} does not parse");
        };
        Self(Evaluator::alone(expressions))
    }

    /// What is printed of a line of NDJSON.
    pub fn print(&mut self, line: &[u8]) -> Vec<u8> {
        self.0.print(line)
    }
}
