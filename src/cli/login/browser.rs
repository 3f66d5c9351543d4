//! OAuth2: a page in a browser, here or elsewhere.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use anyhow::Result;
use serde_json::Value;

use super::Attempt;
use crate::cli::prompt::Typed;
use crate::cli::settings::can_ask;
use crate::cli::{report, seen};
use crate::{Collection, OAuth2SignIn};

/// Signs in with an account of a provider. The inner error is the library's.
pub(super) async fn sign_in(
    context: &Attempt<'_>,
    collection: &Collection,
    provider: &str,
) -> Result<crate::Result<Value>> {
    let mut builder = collection.oauth2(provider);
    if let Some(port) = context.args.redirect_port {
        builder = builder.loopback(port);
    }
    let mut sign_in = match builder.start().await {
        Ok(sign_in) => sign_in,
        Err(error) => return Ok(Err(error)),
    };
    seen::remember_providers(context.settings, &[provider]);
    let mut typed = Typed::listen();
    let title = sign_in.provider().title().to_owned();
    show(context, &sign_in, &format!("Open this page in a browser to sign in with {title}, within 5 minutes:"));
    explain(context, &sign_in);
    loop {
        let code = tokio::select! {
            answer = sign_in.wait() => match answer {
                Ok(Some(code)) => code,
                Ok(None) => {
                    let text = "The connection to the server broke, and the page above with it. Open this one instead:";
                    show(context, &sign_in, text);
                    continue;
                }
                Err(error) => return Ok(Err(error)),
            },
            line = typed.next() => match sign_in.read(&line) {
                _ if line.trim().is_empty() => continue,
                Ok(code) => code,
                Err(error) => {
                    report::line("warning:", &error.to_string());
                    report::line("hint:", "paste the whole address that the provider sent the browser to");
                    continue;
                }
            },
        };
        // What is typed from here on answers another question.
        drop(typed);
        return Ok(sign_in.finish(code).await);
    }
}

/// Prints the page, always, and opens it where there is a browser.
fn show(context: &Attempt<'_>, sign_in: &OAuth2SignIn, text: &str) {
    report::plain(&format!("{text}\n\n    {}\n", sign_in.url()));
    if !context.args.no_browser && is_here() && open(sign_in.url()) {
        report::note(context.settings, "A browser was asked to open it.");
    }
}

/// What is to be known when the browser is on another machine.
fn explain(context: &Attempt<'_>, sign_in: &OAuth2SignIn) {
    let text = if context.args.redirect_port.is_some() {
        let url = sign_in.redirect_url();
        let paste = if can_ask() {
            "A browser on another machine will not reach it: copy the address of that page from the browser, and paste it here."
        } else {
            "A browser on another machine reaches it through a tunnel, such as ssh -L."
        };
        format!("The provider, where {url} has to be registered, sends the browser back to that address. {paste}")
    } else {
        "The browser has to be on this machine: newer servers drop the answer of one with another address. \
         For a browser elsewhere: Ctrl-C, and the same with --redirect-port PORT."
            .to_owned()
    };
    report::note(context.settings, &text);
}

/// Whether a browser that is opened is seen by whoever sits here.
fn is_here() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("BROWSER") {
        return true;
    }
    let has_screen = cfg!(not(all(unix, not(target_os = "macos"))))
        || is_set("DISPLAY")
        || is_set("WAYLAND_DISPLAY")
        || is_set("WSL_DISTRO_NAME");
    std::io::stderr().is_terminal() && has_screen && !is_set("SSH_CONNECTION") && !is_set("SSH_TTY")
}

/// Starts whatever opens pages on this system; false where nothing does.
fn open(url: &str) -> bool {
    let mut commands = Vec::new();
    // The list of commands that xdg-open and others know, each with %s for the URL or without.
    for command in std::env::var("BROWSER").unwrap_or_default().split(':').filter(|command| !command.is_empty()) {
        let mut words = command.split_whitespace();
        let Some(program) = words.next() else { continue };
        let mut with_url = Command::new(program);
        let mut placed = false;
        for word in words {
            placed |= word.contains("%s");
            with_url.arg(word.replace("%s", url));
        }
        if !placed {
            with_url.arg(url);
        }
        commands.push(with_url);
    }
    commands.extend(open::commands(url));
    commands.into_iter().any(|mut command| {
        // Ctrl-C here is not for the browser, and neither is a token.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env_remove("BOSBASE_TOKEN").spawn().is_ok()
    })
}
