//! In which form events are printed, as it was typed.

use jiff::tz::TimeZone;

use crate::cli::args::{Output, OutputArg, Select, TimeArg};
use crate::cli::exit::Failure;
use crate::cli::output::{Format, Template, Times};

/// In which form events are printed.
pub(super) struct Form {
    pub(super) format: Format,
    pub(super) terminal: bool,
    pub(super) template: Option<Template>,
    pub(super) terminator: u8,
    pub(super) times: Times,
    time: Option<TimeArg>,
}

impl Form {
    /// What was typed, where it makes sense together.
    pub(super) fn of(output: &Output, select: &Select, terminal: bool) -> Result<Self, Failure> {
        let template = output.format.as_deref().map(Template::parse).transpose()?;
        if template.is_some() && select.jq.is_some() {
            return Err(Failure::usage("--format and --jq are two ways to print an event")
                .hint("jq makes text, too: -r --jq '\"\\(.action) \\(.record.id)\"'"));
        }
        if template.is_some() && output.form != OutputArg::Auto {
            return Err(
                Failure::usage("--format and -o are two ways to print an event").hint("--format 'TEMPLATE' alone")
            );
        }
        let format = match output.form {
            _ if template.is_some() => Format::Template,
            OutputArg::Auto if terminal => Format::Pretty,
            OutputArg::Pretty => Format::Pretty,
            OutputArg::Auto | OutputArg::Ndjson => Format::Ndjson,
            OutputArg::Raw => Format::Raw,
        };
        let is_text = matches!(format, Format::Pretty | Format::Template);
        if output.time.is_some() && !is_text && output.form != OutputArg::Auto {
            return Err(Failure::usage("--time is for lines that people read: the time of NDJSON is always UTC")
                .hint("-o pretty, or --format '{time} …'"));
        }
        let times = match output.time {
            None | Some(TimeArg::Local | TimeArg::Utc) => Times::Clock,
            Some(TimeArg::Delta) => Times::Delta,
            Some(TimeArg::None) => Times::None,
        };
        let terminator = if output.null { 0 } else { b'\n' };
        Ok(Self { format, terminal, template, terminator, times, time: output.time })
    }

    /// The time zone of what is printed in a format.
    pub(super) fn zone(&self, format: Format) -> TimeZone {
        match (self.time, format) {
            (Some(TimeArg::Utc), _) => TimeZone::UTC,
            // In a template the time is that of the NDJSON, unless told otherwise.
            (None, Format::Template) => TimeZone::UTC,
            // No time that depends on it: the system is not asked, which reads the names of all zones.
            (_, Format::Ndjson | Format::Raw) => TimeZone::UTC,
            _ => TimeZone::system(),
        }
    }
}
