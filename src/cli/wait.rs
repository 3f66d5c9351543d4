//! `wait`: blocks until an event matches; the exit code is the answer.

use anyhow::Result;
use tokio::time::Instant;

use super::args::{Global, Stop, WaitArgs};
use super::exit::Exit;
use super::selection;
use super::settings::Settings;
use super::signals::Signals;
use super::watch::{Context, Plan, Wait};

pub(crate) async fn wait(args: WaitArgs, global: Global) -> Result<Exit> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let WaitArgs { topics, select, until, fail_if, timeout, no_initial, output, link, command } = args;
    let wait = Wait { until, fail_if, initial: !no_initial, checked: !link.no_check, command };
    wait.check()?;
    let settings = Settings::resolve(global, None)?;
    let selection = selection::watched("wait", &topics, &select.options, &settings)?;
    let login = settings.login(select.guest)?;
    let client = settings.signed_in(&login)?;
    let context = Context { settings, login, client };
    let stop = Stop { timeout, ..Stop::default() };
    let plan = Plan { selection, select, stop, output, react: None, link, wait: Some(wait) };
    Box::pin(plan.run(&context, started, &mut signals)).await
}
