//! Where a watch begins: now, or before.

use anyhow::Result;

use super::Context;
use crate::cli::args::{Select, Since};
use crate::cli::exit::Failure;
use crate::cli::report;
use crate::cli::selection::Selection;
use crate::{Mark, Start, TopicKind};

/// What the flags ask for; the marks of a cursor go before them.
pub(crate) async fn start(
    select: &Select,
    selection: &Selection,
    marks: Option<Vec<Mark>>,
    context: &Context,
) -> Result<Start> {
    if let Some(marks) = marks {
        return Ok(Start::Resume(marks));
    }
    if !select.initial && select.since.is_none() {
        return Ok(Start::Now);
    }
    for topic in &selection.topics {
        if matches!(topic.kind(), TopicKind::Custom(_)) && context.settings.global.verbose > 0 {
            report::note(&context.settings, &format!("{topic}: a custom topic keeps nothing from before"));
        }
    }
    let Some(since) = &select.since else { return Ok(Start::Initial) };
    moment(since, context).await.map(Start::Since)
}

/// A duration counts back from the server's present.
async fn moment(since: &Since, context: &Context) -> Result<jiff::Timestamp> {
    let Context { client, settings, .. } = context;
    if matches!(since, Since::Ago(_)) && client.clock_difference().is_none() {
        client.health().await.map_err(|error| report::explain(&error, settings))?;
    }
    let too_far = || Failure::usage("--since goes back too far").hint("--initial begins with all that there is");
    since.moment(client.server_time()).ok_or_else(|| too_far().into())
}
