//! One expression: parsed and compiled before anything is connected.

use jaq_core::data::HasLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader, lex, parse, span};
use jaq_core::native::{self, Filter as Named, v};
use jaq_core::{Compiler, Ctx, DataT, Filter, Lut, RunPtr, Vars, compile};
use jaq_json::Val;

use super::bounds::Guard;
use super::needs::{self, Needs, Use, WHOLE};
use super::{fields, lookup, multiply};
use crate::cli::exit::Failure;
use crate::cli::output::KEYS;

/// What an evaluation has at hand.
struct Data;

impl DataT for Data {
    type V<'a> = Val;
    type Data<'a> = Guarded<'a>;
}

#[derive(Clone, Copy)]
struct Guarded<'a> {
    terms: &'a Lut<Data>,
    guard: &'a Guard<'a>,
}

impl<'a> HasLut<'a, Data> for Guarded<'a> {
    /// Asked for at each term.
    fn lut(&self) -> &'a Lut<Data> {
        self.guard.check();
        self.terms
    }
}

/// What takes more than one event, or belongs to the process and not to the event.
const WITHHELD: [(&str, &str); 6] = [
    ("input", "each event is evaluated by itself, there is no next one"),
    ("inputs", "each event is evaluated by itself, there is no next one"),
    ("env", "the environment is not handed to expressions: let the shell put the value in"),
    ("halt", "`empty` prints nothing for an event; -n and `wait` end the program"),
    ("halt_error", "`empty` prints nothing for an event; -n and `wait` end the program"),
    ("$ENV", "the environment is not handed to expressions: let the shell put the value in"),
];

/// What an expression is called by, where it is a definition.
const MAIN: &str = "bosbase_main";

/// A compiled expression.
pub(crate) struct Program {
    /// The flag that it was given with.
    flag: &'static str,
    source: String,
    filter: Filter<Data>,
    /// What can be seen of an event.
    needs: Needs,
    /// The names that lead to its only result, where it does nothing else.
    path: Option<Vec<String>>,
}

impl Program {
    /// Parses an expression; what is wrong with it is told with its place.
    pub(crate) fn parse(flag: &'static str, source: &str) -> Result<Self, Failure> {
        let mut prelude = prelude();
        let mut filter = Self::compile(flag, source, File { code: source, path: () }, prelude.clone())?;
        let (mut needs, mut path) = (WHOLE.clone(), None);
        if let Some(mut body) = load::parse(source, |parser| parser.term()) {
            let used = if flag == "--jq" { Use::Printed } else { Use::Tested };
            needs = needs::of(&body, &prelude, used);
            path = lookup::path(&body);
            // What it is for a person is known: now each `*` of it is bounded.
            if source.contains('*') {
                multiply::bound(&mut body);
                prelude.push(Def { name: MAIN, args: Vec::new(), body });
                filter = Self::compile(flag, source, File { code: MAIN, path: () }, prelude)?;
            }
        }
        Ok(Self { flag, source: source.to_owned(), filter, needs, path })
    }

    fn compile<'s>(
        flag: &'static str,
        source: &'s str,
        file: File<&'s str, ()>,
        prelude: Vec<Def<&'s str>>,
    ) -> Result<Filter<Data>, Failure> {
        let arena = Arena::default();
        let natives = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_std::extra_funs()).chain(jaq_json::funs());
        let natives =
            natives.filter(|(name, ..)| !is_withheld(name) && !matches!(*name, "debug_empty" | "stderr_empty"));
        let wrong = |at: usize, what: String| wrong(flag, source, at, &what);
        let modules = Loader::new(prelude).load(&arena, file).map_err(|errors| {
            let (at, what) = unparsed(source, errors);
            wrong(at, what)
        })?;
        let natives = natives.chain(told()).chain([product()]);
        #[cfg(test)]
        let natives = natives.chain([tests::broken()]);
        Compiler::default().with_funs(natives).compile(modules).map_err(|errors| {
            let Some((name, kind)) = errors.into_iter().flat_map(|(_, errors)| errors).next() else {
                return wrong(0, "it cannot be compiled".into());
            };
            let is_word = matches!(kind, compile::Undefined::Filter(0));
            let what = match kind {
                compile::Undefined::Filter(arity) if arity > 0 => format!("there is no filter {name}/{arity}"),
                kind => format!("there is no {} {name}", kind.as_str()),
            };
            let at = place(source, name);
            let failure = wrong(at, what);
            match WITHHELD.iter().find(|(withheld, _)| *withheld == name) {
                Some((_, why)) => failure.hint(*why),
                None if is_word && ends_with_comparison(&source[..at]) => {
                    failure.hint(format!("a text stands in double quotes: \"{name}\""))
                }
                None if is_word => failure.hint(format!("did you mean .{name}, the field?")),
                None => failure,
            }
        })
    }

    /// What it can see of an event.
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The names that lead to its only result, where it does nothing else.
    pub(super) fn path(&self) -> Option<&[String]> {
        self.path.as_deref()
    }

    /// As it was typed.
    pub(crate) fn name(&self) -> String {
        format!("{} '{}'", self.flag, self.source)
    }

    /// What is worth a warning: an assignment where a comparison was meant, or a field where an
    /// event has none, which are no errors.
    pub(crate) fn slip(&self) -> Option<String> {
        let is_condition = self.flag != "--jq";
        if assigns(&self.source, is_condition) {
            return Some(format!("{}: `=` assigns and is always true: `==` compares", self.name()));
        }
        let term = load::parse(&self.source, |parser| parser.term())?;
        let field = fields::foreign(&term, &KEYS)?;
        let meant = format!("a field of a record is .record.{field}, of a message .data.{field}");
        Some(format!("{}: an event has no .{field}: {meant}", self.name()))
    }

    /// Hands its results to the caller, one by one, until one is refused or an error ends them.
    pub(super) fn run(&self, guard: &Guard<'_>, input: Val, mut take: impl FnMut(&Val) -> bool) -> Result<(), String> {
        let context = Ctx::<Data>::new(Guarded { terms: &self.filter.lut, guard }, Vars::new([]));
        for result in self.filter.id.run((context, input)) {
            match result {
                Ok(value) if take(&value) => {}
                Ok(_) => break,
                Err(exception) => match exception.get_err() {
                    Ok(error) => return Err(error.to_string()),
                    // `halt` is withheld; a `break` without its label does not compile.
                    Err(_) => return Err("it stopped without a result".into()),
                },
            }
        }
        Ok(())
    }
}

/// The definitions of jq's library that are handed to expressions, each behind those that it calls.
fn prelude() -> Vec<Def<&'static str>> {
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let ours = load::parse(include_str!("formats.jq"), |parser| parser.defs()).unwrap_or_default();
    theirs.chain(ours).filter(|definition| !is_withheld(definition.name)).collect()
}

fn is_withheld(name: &str) -> bool {
    WITHHELD.iter().any(|(withheld, _)| *withheld == name)
}

/// Whether the truth of an expression is that of an assignment: as the last step of a condition,
/// or of what `select` is given.
fn assigns(source: &str, is_condition: bool) -> bool {
    /// What is open: a text, or a bracket, and whether an assignment decides there.
    struct Open {
        by: char,
        decides: bool,
        found: bool,
    }
    let mut open = vec![Open { by: ' ', decides: is_condition, found: false }];
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or(' ');
    let mut index = 0;
    while let Some(&c) = chars.get(index) {
        let before = if index > 0 { at(index - 1) } else { ' ' };
        let depth = open.len();
        let Some(here) = open.last_mut() else { return false };
        match c {
            '"' if here.by == '"' => drop(open.pop()),
            '\\' if here.by == '"' => {
                index += 1;
                if at(index) == '(' {
                    open.push(Open { by: '(', decides: false, found: false });
                }
            }
            _ if here.by == '"' => {}
            '"' => open.push(Open { by: '"', decides: false, found: false }),
            '#' => return false,
            '(' | '[' | '{' => {
                let is_select = chars[..index].ends_with(&['s', 'e', 'l', 'e', 'c', 't']);
                // Brackets alone change nothing.
                let is_group = here.decides && !before.is_alphanumeric() && before != '_';
                open.push(Open { by: c, decides: c == '(' && (is_select || is_group), found: false });
            }
            ')' | ']' | '}' if depth > 1 => match open.pop() {
                Some(closed) if closed.decides && closed.found => return true,
                _ => {}
            },
            // `|=`, `//=`, `==`, `<=` and the like are others.
            '=' if at(index + 1) != '=' && !"=!<>|/+-*%".contains(before) => here.found = true,
            // What was assigned goes on, and decides nothing.
            '|' if at(index + 1) != '=' => here.found = false,
            ';' => here.found = false,
            _ => {}
        }
        index += 1;
    }
    open.len() == 1 && open[0].decides && open[0].found
}

/// `debug` and `stderr` say what they are given, as a line for people.
fn told() -> impl Iterator<Item = native::Fun<Data>> {
    fn say(value: &Val) {
        let mut text = Vec::new();
        super::value::write(&mut text, value);
        crate::cli::report::line("debug:", &String::from_utf8_lossy(&text));
    }
    ["debug_empty", "stderr_empty"].into_iter().map(|name| {
        let filter: Named<RunPtr<Data>> = (name, v(0), |(_, value)| {
            say(&value);
            Box::new(std::iter::empty())
        });
        native::run::<Data>(filter)
    })
}

/// What `*` is made.
fn product() -> native::Fun<Data> {
    let filter: Named<RunPtr<Data>> = (multiply::CALL, v(2), |(mut context, _)| {
        let right = context.pop_var();
        let left = context.pop_var();
        native::bome(multiply::product(left, right))
    });
    native::run::<Data>(filter)
}

/// Where and why an expression does not parse.
fn unparsed(source: &str, errors: load::Errors<&str, ()>) -> (usize, String) {
    let Some((_, error)) = errors.into_iter().next() else { return (0, "it cannot be parsed".into()) };
    let (text, what) = match &error {
        load::Error::Io(imports) => {
            (imports.first().map_or("", |(name, _)| *name), "modules cannot be imported".to_owned())
        }
        load::Error::Lex(errors) => errors.first().map(unread).unwrap_or_default(),
        load::Error::Parse(errors) => errors.first().map(unexpected).unwrap_or_default(),
    };
    (place(source, text), what)
}

fn unread<'a>((expected, text): &lex::Error<&'a str>) -> (&'a str, String) {
    let what = match expected {
        lex::Expect::Delim(open) => format!("the {} of this {open} is missing", expected.as_str()),
        lex::Expect::Token => format!("{} means nothing here", text.chars().next().unwrap_or(' ')),
        expected => format!("{} is expected {}", expected.as_str(), found(text)),
    };
    (text, what)
}

fn unexpected<'a>((expected, text): &parse::Error<&'a str>) -> (&'a str, String) {
    let expected = match expected {
        parse::Expect::Term => "an expression",
        parse::Expect::Nothing => "nothing more",
        expected => expected.as_str(),
    };
    (text, format!("{expected} is expected {}", found(text)))
}

fn found(text: &str) -> String {
    match text.split_whitespace().next() {
        None => "but it ends".to_owned(),
        Some(word) => format!("but there is {word}"),
    }
}

/// Where a part of the source stands in it; its end for what is no part of it.
fn place(source: &str, part: &str) -> usize {
    let range = source.as_ptr() as usize..=source.as_ptr() as usize + source.len();
    if range.contains(&(part.as_ptr() as usize)) { span(source, part).start } else { source.len() }
}

fn wrong(flag: &str, source: &str, at: usize, what: &str) -> Failure {
    let (before, behind) = source.split_at(at);
    let failure = Failure::usage(format!("{flag} '{source}': {what}, at character {}", before.chars().count() + 1));
    if source.trim().is_empty() {
        return failure.hint(format!("{flag} . takes the whole event"));
    }
    if what.starts_with("' means") {
        return failure.hint(format!("jq writes a text in double quotes: {flag} '.record.title == \"x\"'"));
    }
    failure.hint(format!("it goes wrong at the arrow: {before}▸{behind}"))
}

/// Whether what follows is compared with something.
fn ends_with_comparison(source: &str) -> bool {
    ["==", "!="].iter().any(|operator| source.trim_end().ends_with(operator))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fault of jaq's own.
    pub(super) fn broken() -> native::Fun<Data> {
        let filter: Named<RunPtr<Data>> = ("broken", v(0), |_| panic!("it is broken"));
        native::run::<Data>(filter)
    }

    fn results(source: &str, input: &str) -> Result<String, String> {
        let program = Program::parse("--jq", source).map_err(|failure| failure.to_string())?;
        let mut out = Vec::new();
        let input = super::super::read::parse(input.as_bytes()).unwrap();
        let clock = super::super::bounds::Clock::new(super::super::bounds::Limits::default());
        program.run(&Guard::new(&clock), input, |value| {
            super::super::value::write(&mut out, value);
            out.push(b'\n');
            true
        })?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_jq_does() {
        let event = r#"{"action":"create","record":{"id":"a","title":"Hé","stars":3,"tags":["x","y"],"big":12345678901234567890,"f":1.50,"e":1e400,"none":null}}"#;
        for (source, printed) in [
            (".record.title", "\"Hé\"\n"),
            (".record | {id, stars}", "{\"id\":\"a\",\"stars\":3}\n"),
            (".record.tags[]", "\"x\"\n\"y\"\n"),
            ("select(.action == \"delete\")", ""),
            (".record.big, .record.f, .record.e", "12345678901234567890\n1.50\n1e400\n"),
            (".record.stars / 2, .record.stars * 2.0", "1.5\n6\n"),
            ("nan, infinite, -infinite", "null\n1.7976931348623157e+308\n-1.7976931348623157e+308\n"),
            (".record.none // \"-\" | ascii_upcase", "\"-\"\n"),
            (".record.title | test(\"h\"; \"i\")", "true\n"),
            ("0 | todate, (1.5 | tostring), (\"x\" | @base64)", "\"1970-01-01T00:00:00Z\"\n\"1.5\"\n\"eA==\"\n"),
            (r#"["a\"b,c", 1, null, true] | @csv"#, r#""\"a\"\"b,c\",1,,true""#),
            (r#"["a\tb\\c\n", 1.5, null] | @tsv"#, r#""a\\tb\\\\c\\n\t1.5\t""#),
            ("\"\\(.record.id)-\\(.record.stars)\"", "\"a-3\"\n"),
            ("debug | .action", "\"create\"\n"),
            ("[(1, 2) * (3, 4)], 2 * 3 + 4 * .record.stars", "[3,4,6,8]\n18\n"),
            ("\"ab\" * 2, 2 * \"ab\", \"ab\" * 0, \"ab\" * -99999999999999999999", "\"abab\"\n\"abab\"\nnull\nnull\n"),
            (
                "{a: 2, b: {c: 1}} * {b: {d: 2}} | .a *= (3, 5) | tojson",
                "\"{\\\"a\\\":6,\\\"b\\\":{\\\"c\\\":1,\\\"d\\\":2}}\"\n\"{\\\"a\\\":10,\\\"b\\\":{\\\"c\\\":1,\\\"d\\\":2}}\"\n",
            ),
            (
                "def f($n): $n * 2; reduce (1, 2) as $n (1; . * $n) | f(.) | if . * 1 == 4 then \"\\(. * 2)\" else . end",
                "\"8\"\n",
            ),
            ("try (1 * [2]) catch \"no\"", "\"no\"\n"),
        ] {
            assert_eq!(
                results(source, event).map(|text| text.trim_end().to_owned()),
                Ok(printed.trim_end().to_owned()),
                "{source}"
            );
        }
        assert_eq!(results(".record.id.x", event).unwrap_err(), "cannot index \"a\" with \"x\"");
        assert_eq!(results("error(\"oh\")", event).unwrap_err(), "\"oh\"");
        // In whatever place it stands.
        for source in [
            "\"xx\" * 10000000000000000",
            "99999999999999999999999 * \"x\"",
            ".record.title *= 10000000000000000 | .action",
            "[{a: \"\\(\"x\" * 536870913)\"}]",
            "def f: . * 9000000000000000000; .action | try f catch error",
            "reduce 1 as $n (\"x\"; if true then . * 600000000 else . end)",
            ".record.tags[\"x\" * 600000000:]",
            "[.record.tags[] * 9000000000000000000]",
            ". as {action: $a} | $a * 1000000000",
        ] {
            assert_eq!(results(source, event).unwrap_err(), "\"a text of more than 512 MB is not made\"", "{source}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (source, what, at) in [
            ("", "an expression is expected but it ends", 1),
            (".record |", "an expression is expected but it ends", 10),
            (".a | )", ") means nothing here", 6),
            ("(.a", "the closing parenthesis of this ( is missing", 4),
            ("\"abc", "the closing quote of this \" is missing", 5),
            (".é", "é means nothing here", 2),
            (".a == \"é\" | foo", "there is no filter foo", 13),
            ("select(.a; 1)", "there is no filter select/2", 1),
            ("if . then 1", "else or end is expected but it ends", 12),
            ("1 2", "nothing more is expected but there is 2", 3),
            ("$x", "there is no variable $x", 1),
            ("$ENV.HOME", "there is no variable $ENV", 1),
            ("., env", "there is no filter env", 4),
            ("input", "there is no filter input", 1),
            ("halt", "there is no filter halt", 1),
            ("import \"a\" as a; .", "modules cannot be imported", 9),
        ] {
            let Err(failure) = Program::parse("--jq", source) else { panic!("{source} parses") };
            assert_eq!(failure.to_string(), format!("--jq '{source}': {what}, at character {at}"));
        }
        let hint = |source| Program::parse("--until", source).err().unwrap().hint.unwrap();
        assert_eq!(hint(".record | | .id"), "it goes wrong at the arrow: .record | ▸| .id");
        assert_eq!(hint(".a == 'x'"), r#"jq writes a text in double quotes: --until '.record.title == "x"'"#);
        assert_eq!(hint("inputs"), "each event is evaluated by itself, there is no next one");
        assert_eq!(hint(" "), "--until . takes the whole event");
        assert_eq!(hint("action == \"create\""), "did you mean .action, the field?");
        assert_eq!(hint(".record.status == open"), r#"a text stands in double quotes: "open""#);
        assert_eq!(hint(".record.open == open"), r#"a text stands in double quotes: "open""#);
    }

    #[test]
    fn an_assignment_is_no_comparison() {
        for (source, of_condition, of_output) in [
            (r#".a = "x""#, true, false),
            (r#".a == "x""#, false, false),
            ("(.a = 1)", true, false),
            (".b == 2 and .a = 1", true, false),
            ("select(.a = 1)", true, true),
            ("select(.a == 1)", false, false),
            (".a = 1 | .a == 1", false, false),
            (".a |= 1 | .a == 1", false, false),
            (".a <= 1, .b >= 2, .c != 3", false, false),
            (r#".a == "x = y \(.b = 1)""#, false, false),
            ("{a: (.b = 1)}", false, false),
            ("first(.a = 1) | .b == 1", false, false),
            ("def f: .a = 1; f == 1", false, false),
        ] {
            let warns =
                |flag| Program::parse(flag, source).ok().unwrap().slip().is_some_and(|slip| slip.ends_with("compares"));
            assert_eq!((warns("--until"), warns("--jq")), (of_condition, of_output), "{source}");
        }
        let slip = Program::parse("--fail-if", ".a = 1").ok().unwrap().slip().unwrap();
        assert_eq!(slip, "--fail-if '.a = 1': `=` assigns and is always true: `==` compares");
    }

    #[test]
    fn a_field_of_the_record_is_none_of_the_event() {
        for (source, field) in [
            (".title", Some("title")),
            (".status == \"published\"", Some("status")),
            (".action == \"create\" and .[\"status\"] == 1", Some("status")),
            ("select(.stars > 3) | .record", Some("stars")),
            ("select(.action == \"create\") | {title}", Some("title")),
            ("\"\\(.action) \\(.title)\"", Some("title")),
            ("if .action == \"delete\" then .id else empty end", Some("id")),
            (". as $e | .stars", Some("stars")),
            (".record.title, .record[.topic], .data.id, .text, .sub, .late, .type", None),
            (".record | .title", None),
            (".record as $r | $r.title", None),
            (".title = .record.title | .title", None),
            ("with_entries(.key |= .)", None),
            ("def f: .title; .record | f", None),
            ("{title: .record.title, action}", None),
            ("[.record.tags[] | select(.name == 1)]", None),
            (".. | .title?", None),
        ] {
            let slip = Program::parse("--jq", source).ok().unwrap().slip();
            let message = |field| {
                format!(
                    "--jq '{source}': an event has no .{field}: \
                     a field of a record is .record.{field}, of a message .data.{field}"
                )
            };
            assert_eq!(slip, field.map(message), "{source}");
        }
    }
}
