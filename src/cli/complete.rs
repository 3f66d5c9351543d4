//! What a shell offers when Tab is pressed.
//!
//! bash, zsh and fish ask the program itself, with [`VARIABLE`] set, and so
//! know the profiles, the topics watched before and the providers a server has
//! offered. It is all read from the config dir: no request is made, and where
//! something cannot be read, nothing is offered. Elvish and `PowerShell` have
//! scripts that know the flags: PowerShell's adapter would evaluate the line
//! that is being typed.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, EnvCompleter as _, Fish, Shells, Zsh};

use super::store::{Seen, Store};

/// Which shell asks.
const VARIABLE: &str = "BOSBASE_WATCH_COMPLETE";
/// The word as it stands in bash, which the engine gets without its quotes.
const BASH_WORD: &str = "_BOSBASE_WATCH_WORD";
const NAME: &str = "bosbase-watch";
/// From a folder of `fpath`, zsh runs the script at the first Tab, which has to be answered, too.
const ZSH_AUTOLOAD: &str = r#"
if [ "$funcstack[1]" = "_bosbase-watch" ]; then
    _clap_dynamic_completer_bosbase_watch "$@"
fi
"#;
const ASKING: Shells<'static> = Shells(&[&clap_complete::env::Bash, &Zsh, &Fish]);

/// The script that a shell reads.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    let written = match shell {
        Shell::Bash => clap_complete::env::Bash.write_registration(VARIABLE, NAME, NAME, NAME, &mut out).map(|()| {
            let variable = format!("{VARIABLE}=\"bash\"");
            let word = format!("{BASH_WORD}=\"${{COMP_WORDS[COMP_CWORD]}}\" \\\n        {variable}");
            out = String::from_utf8_lossy(&out).replace(&variable, &word).into_bytes();
        }),
        Shell::Zsh => Zsh.write_registration(VARIABLE, NAME, NAME, NAME, &mut out).map(|()| {
            out.truncate(out.trim_ascii_end().len());
            out.extend_from_slice(ZSH_AUTOLOAD.as_bytes());
        }),
        Shell::Fish => Fish.write_registration(VARIABLE, NAME, NAME, NAME, &mut out),
        other => {
            clap_complete::generate(other, &mut super::command(), NAME, &mut out);
            Ok(())
        }
    };
    // Writing to a Vec cannot fail.
    debug_assert!(written.is_ok());
    out
}

/// Answers a shell, where one asks.
pub(super) fn answer() -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(super::command)
        .var(VARIABLE)
        .bin(NAME)
        .completer(NAME)
        .shells(ASKING)
        .try_complete(std::env::args_os(), here.as_deref());
    match asked {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        // The line that is being typed is no place for an error.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// The saved logins.
pub(super) fn profiles() -> Vec<CompletionCandidate> {
    let names = store().and_then(|store| store.names().ok()).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The providers that a server has offered.
pub(super) fn providers() -> Vec<CompletionCandidate> {
    seen(Seen::Providers).into_iter().map(CompletionCandidate::new).collect()
}

/// The topics watched before, and the collections.
pub(super) fn topics(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    // The shells hand over the word as it was typed, and all but bash take what it stands for.
    let typed = current.trim_start_matches(['\'', '"']).replace('\\', "");
    let escaped = std::env::var(BASH_WORD).is_ok_and(|word| !word.starts_with(['\'', '"']));
    let collections = seen(Seen::Collections).into_iter().map(|name| (format!("{name}/*"), "all of its records"));
    let customs = seen(Seen::CustomTopics).into_iter().map(|name| (name, "custom topic"));
    let matching = collections.chain(customs).filter(|(topic, _)| topic.starts_with(&typed));
    let escape = |topic: String| if escaped { for_bash(&topic) } else { topic };
    matching.map(|(topic, what)| CompletionCandidate::new(escape(topic)).help(Some(what.into()))).collect()
}

/// With a backslash before each character that bash would take for its own.
fn for_bash(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 1);
    for c in word.chars() {
        if !c.is_alphanumeric() && !"/_-.,+=:@%".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn store() -> Option<Store> {
    let config = typed_value(&["--config"]);
    Store::open(config.as_deref().map(Path::new)).ok()
}

/// With the profile that is typed, or the one that would be used.
fn seen(what: Seen) -> Vec<String> {
    let Some(store) = store() else { return Vec::new() };
    let profile = typed_value(&["--profile", "-p"]).or_else(|| std::env::var_os("BOSBASE_PROFILE"));
    let profile = profile.filter(|name| !name.is_empty()).and_then(|name| name.into_string().ok());
    let Some(profile) = profile.or_else(|| store.current_profile().ok()) else { return Vec::new() };
    store.seen_anywhere(what, &profile).unwrap_or_default().into_iter().collect()
}

/// The value of a flag on the line so far.
fn typed_value(names: &[&str]) -> Option<OsString> {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let apart = words.windows(2).find(|pair| names.iter().any(|name| pair[0] == *name)).map(|pair| pair[1].clone());
    apart.or_else(|| {
        let joined = |word: &OsString| {
            let word = word.to_str()?;
            names.iter().find_map(|name| word.strip_prefix(name)?.strip_prefix('=')).map(OsString::from)
        };
        words.iter().find_map(joined)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_bash() {
        for (word, escaped) in [("posts/*", r"posts/\*"), ("jobs/finished", "jobs/finished"), ("a b'c", r"a\ b\'c")] {
            assert_eq!(for_bash(word), escaped);
        }
    }
}
