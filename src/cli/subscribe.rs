//! `subscribe`: watches topics and prints events.

use anyhow::Result;
use tokio::time::Instant;

use super::args::{Global, SubscribeArgs};
use super::exit::{Exit, Failure};
use super::selection;
use super::settings::Settings;
use super::signals::Signals;
use super::watch::{Context, Plan};

pub(crate) async fn subscribe(args: SubscribeArgs, global: Global) -> Result<Exit> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let SubscribeArgs { topics, select, stop, output, react, link } = args;
    let settings = Settings::resolve(global, None)?;
    if topics.is_empty() && !react.exec.is_empty() && settings.global.subscriptions.is_empty() {
        return Err(Failure::usage("there is no topic to watch")
            .hint("topics stand before --exec, which takes all that follows, up to ';'")
            .into());
    }
    let selection = selection::watched("subscribe", &topics, &select.options, &settings)?;
    let login = settings.login(select.guest)?;
    let client = settings.signed_in(&login)?;
    let context = Context { settings, login, client };
    let plan = Plan { selection, select, stop, output, react: Some(react), link, wait: None };
    Box::pin(plan.run(&context, started, &mut signals)).await
}
