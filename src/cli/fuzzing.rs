//! The program's part of what holds for any input: see `crate::fuzzing`.

#![expect(clippy::panic, reason = "that is how a property says that it does not hold")]

use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::{Format, Options, Printer, Template};
use super::{defaults, store};
use crate::event::decode;
use crate::{Event, Source, Topic};

/// What must never reach a terminal raw: written down apart from what the sanitiser looks for.
pub(crate) fn is_dangerous(c: char) -> bool {
    matches!(u32::from(c),
        0..=0x1f | 0x7f..=0x9f | 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x2064 | 0x2066..=0x2069 | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

fn decoded(topic: &str, data: &str) -> Event {
    decode(Source::new(Topic::custom(topic), 0, vec![]), crate::now(), data.into())
}

fn printed(options: Options, event: &Event) -> String {
    let mut out = Vec::new();
    Printer::new(options).event(&mut out, event);
    String::from_utf8(out).unwrap_or_else(|error| panic!("{error}"))
}

/// NDJSON of a message: legal JSON byte for byte, but for what is said to differ; else its text.
pub(crate) fn payload(name: &str, data: &str) {
    #[derive(Deserialize)]
    struct Line<'a> {
        topic: String,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        text: Option<String>,
    }
    let line = printed(Options { format: Format::Ndjson, ..Options::default() }, &decoded(name, data));
    let Some(line) = line.strip_suffix('\n') else { panic!("no line: {line:?}") };
    assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
    if line.starts_with(r#"{"type":"record""#) {
        return;
    }
    let Ok(read) = serde_json::from_str::<Line<'_>>(line) else { panic!("not JSON: {line:?}") };
    assert_eq!(read.topic, name);
    if serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok() {
        let escaped = |c: char| match c {
            '\r' | '\n' => String::new(),
            '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        };
        let expected = data.chars().map(escaped).collect::<Vec<_>>().concat();
        // `null` is a value, too, which serde takes for none.
        let got = read.data.map_or("null", RawValue::get);
        assert_eq!(got, expected.trim_matches([' ', '\t']));
    } else {
        assert_eq!(read.text.as_deref(), Some(data));
    }
}

/// An event in every form for a terminal: nothing dangerous is in it. Up to the first NUL it is
/// the template, then the name of a topic, then the data.
pub fn shown(text: &str) {
    let mut parts = text.splitn(3, '\0');
    let (template, name, data) = (parts.next(), parts.next().unwrap_or("x/y"), parts.next().unwrap_or(text));
    // What a person typed is printed as it was typed.
    let template = template.filter(|text| !text.contains('\\') && !text.chars().any(is_dangerous));
    let template = template.and_then(|text| Template::parse(text).ok());
    let terminal = |format, width| Options { format, terminal: true, width, ..Options::default() };
    for topic in [name, "posts/*"] {
        let event = decoded(topic, data);
        let mut all = vec![
            terminal(Format::Pretty, None),
            terminal(Format::Pretty, Some(17)),
            terminal(Format::Pretty, Some(80)),
            terminal(Format::Ndjson, None),
            terminal(Format::Raw, None),
        ];
        all.extend(
            template.clone().map(|template| Options { template: Some(template), ..terminal(Format::Template, None) }),
        );
        for options in all {
            let (format, width) = (options.format, options.width);
            let shown = printed(options, &event);
            let Some(line) = shown.strip_suffix('\n') else { panic!("no line: {shown:?}") };
            assert!(!line.chars().any(is_dangerous), "{format:?}: {line:?}");
            let columns = unicode_width::UnicodeWidthStr::width(line);
            assert!(width.is_none_or(|width| columns <= width), "{columns} of {width:?}: {line:?}");
        }
    }
}

/// A config: it is read, or it is said in one line what is wrong with it.
pub fn config(text: &str) {
    let Ok(folder) = tempfile::tempdir() else { panic!("no temporary folder") };
    let path = folder.path().join("config.toml");
    assert!(std::fs::write(&path, text).is_ok());
    let args = ["bosbase-watch", "subscribe", "posts/*", "--config"].map(std::ffi::OsString::from);
    match defaults::parse(args.into_iter().chain([path.into()]).collect()) {
        Ok(_) | Err(defaults::Refused::Usage(_)) => {}
        Err(defaults::Refused::Config(error)) => assert!(!format!("{error:#}").contains('\n'), "{error:#}"),
    }
}

/// Credentials: what is read is what is written again.
pub fn credentials(text: &str) {
    store::fuzz_credentials(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::cli::output::sanitize::tests::text;

    proptest! {
        #[test]
        fn payload(name in "[a-z/*é]{1,9}", data in text(), json in any::<bool>()) {
            let quoted = serde_json::json!([&data, { &*data: 1.50 }]).to_string();
            super::payload(&name, if json { &quoted } else { &data });
        }

        #[test]
        fn shown(template in "[ -Z\\]-~é]{0,20}", name in text(), data in text(), json in any::<bool>()) {
            let name = name.replace('\0', "");
            let record = serde_json::json!({ "id": &data, "title": &data, &*data: [&data], "collectionName": &name });
            let record = serde_json::json!({ "action": "update", "record": record }).to_string();
            super::shown(&format!("{template}\0{name}\0{}", if json { &record } else { &data }));
            let template = "{record.title}{data}{text}{topic}{record.id}";
            super::shown(&format!("{template}\0{name}\0{}", if json { &record } else { &data }));
        }

        #[test]
        fn credentials(text in "[{}\\[\\]\":,a-z0-9 ]{0,60}", token in "[ -~é]{0,20}") {
            super::credentials(&text);
            let wire = serde_json::json!({"version": 1, "profiles": {"p": {"origin": "http://a", "token": token, "record": {"id": text}}}});
            super::credentials(&wire.to_string());
        }
    }

    #[test]
    fn config() {
        for text in [
            "",
            "\u{0}",
            "a = ",
            "url = 5",
            "[profile]\n",
            "[profile.x]\nurl = \"http://a\"\n",
            "[[subscription]]\n",
            "filter = []\n",
            "[[subscription]]\ntopic = \"a/*\"\nheaders = { a = \"\\n\" }\n",
            "count = 99999999999999999999\n",
            "timeout = \"x\"\n",
            "subscription = 1\nprofile = 2\n",
            "\"\\u001b\" = 1\n",
            "topic = [[[[1]]]]\n",
        ] {
            super::config(text);
        }
    }
}
