//! What an expression can see of an event: the rest of it need not be read.
//!
//! The expression is run without an event. Each term is told which places of the event its input
//! may be, the event itself or a member of it by name, and tells which its results may be; what
//! is computed is no place. A place that is handed on, asked for a member by a literal name or
//! tested for its truth is needed for those members alone. Used in any other way (compared, put
//! into something, taken apart, given to a native filter) it is needed whole. Filters that are
//! defined in jq, be it in the expression or by jq itself, are run as they stand.
//!
//! An object of which a part is read is an object with fewer members, and no more: whatever else
//! stands where one is expected is read whole. So nothing shows which of both it was, not even
//! what an error says: a member of an object that is asked for by name never fails.

use std::rc::Rc;

use bytes::Bytes;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;
use jaq_json::Val;

use super::read::PAYLOADS;

/// Terms that are looked at before it is given up, ...
const STEPS: usize = 20_000;

/// ... and how deep in each other: a definition that calls itself has no end here.
const DEEPEST: usize = 200;

/// What has to be read of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// All there is; `members` is empty then.
    pub(super) whole: bool,
    /// Of an object, by name.
    pub(super) members: Vec<(Bytes, Needs)>,
}

/// Everything.
pub(super) static WHOLE: Needs = Needs { whole: true, members: Vec::new() };

impl Needs {
    /// The key of a member, and what is needed of it, if anything.
    pub(super) fn member(&self, name: &str) -> Option<(Val, &Self)> {
        if self.whole {
            return Some((Val::utf8_str(name.as_bytes().to_vec()), &WHOLE));
        }
        let (name, needs) = self.members.iter().find(|(own, _)| own == name)?;
        Some((Val::utf8_str(name.clone()), needs))
    }

    /// What both need.
    pub(super) fn and(mut self, other: &Self) -> Self {
        if self.whole || other.whole {
            return WHOLE.clone();
        }
        for (name, needs) in &other.members {
            match self.members.iter_mut().find(|(own, _)| own == name) {
                Some((_, own)) => *own = std::mem::take(own).and(needs),
                None => self.members.push((name.clone(), needs.clone())),
            }
        }
        self
    }
}

/// What becomes of the results of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The event and its payload go out as they came in, whatever was read of them.
    Printed,
    /// They are true or not.
    Tested,
}

/// What an expression needs of an event. `prelude` are the definitions that it can call, in
/// their order.
pub(super) fn of<'s>(term: &Term<&'s str>, prelude: &[Def<&'s str>], used: Use) -> Needs {
    let mut walk = Walk { places: vec![Place::default()], steps: 0, depth: 0, is_lost: false };
    let scope = prelude.iter().fold(Scope::default(), |scope, definition| scope.with(Item::Def(definition)));
    let results = walk.run(term, &Flow::of(EVENT), &scope);
    if walk.is_lost {
        return WHOLE.clone();
    }
    if used == Use::Printed {
        let of_event = walk.places[EVENT].members.clone();
        for place in results.places {
            let is_payload = of_event.contains(&place) && PAYLOADS.contains(&&*walk.places[place].name);
            walk.places[place].whole |= place != EVENT && !is_payload;
        }
    }
    walk.needs(EVENT)
}

/// A place of the event.
#[derive(Default)]
struct Place {
    name: String,
    members: Vec<usize>,
    whole: bool,
}

/// The place of the event itself.
const EVENT: usize = 0;

/// What a term may give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Flow {
    /// Anything at all.
    yields: bool,
    /// What is none of these is computed.
    places: Vec<usize>,
}

impl Flow {
    const NOTHING: Self = Self { yields: false, places: Vec::new() };
    const COMPUTED: Self = Self { yields: true, places: Vec::new() };

    fn of(place: usize) -> Self {
        Self { yields: true, places: vec![place] }
    }

    fn or(mut self, other: Self) -> Self {
        self.yields |= other.yields;
        for place in other.places {
            if !self.places.contains(&place) {
                self.places.push(place);
            }
        }
        self
    }
}

/// What names mean where a term stands, the nearest first.
#[derive(Default)]
struct Scope<'a, 's>(Option<Rc<Bound<'a, 's>>>);

struct Bound<'a, 's> {
    item: Item<'a, 's>,
    outer: Scope<'a, 's>,
}

enum Item<'a, 's> {
    Var(&'s str, Flow),
    /// A filter that was handed over, and what names mean in it.
    Argument(&'s str, &'a Term<&'s str>, Scope<'a, 's>),
    /// It sees itself, and what was defined before.
    Def(&'a Def<&'s str>),
}

impl Clone for Scope<'_, '_> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, 's> Scope<'a, 's> {
    fn with(&self, item: Item<'a, 's>) -> Self {
        Self(Some(Rc::new(Bound { item, outer: self.clone() })))
    }

    /// This and all that are around it.
    fn outwards(&self) -> impl Iterator<Item = (&Self, &Item<'a, 's>)> {
        std::iter::successors(Some(self), |scope| scope.0.as_ref().map(|bound| &bound.outer))
            .filter_map(|scope| Some((scope, &scope.0.as_ref()?.item)))
    }

    fn var(&self, wanted: &str) -> Option<Flow> {
        self.outwards().find_map(|(_, item)| match item {
            Item::Var(name, flow) if *name == wanted => Some(flow.clone()),
            _ => None,
        })
    }

    fn filter(&self, wanted: &str, arguments: usize) -> Option<Filter<'a, 's>> {
        self.outwards().find_map(|(scope, item)| match item {
            Item::Argument(name, term, scope) if *name == wanted && arguments == 0 => {
                Some(Filter::Argument(term, scope.clone()))
            }
            Item::Def(definition) if definition.name == wanted && definition.args.len() == arguments => {
                Some(Filter::Def(definition, scope.clone()))
            }
            _ => None,
        })
    }
}

/// What is called by a name.
enum Filter<'a, 's> {
    Argument(&'a Term<&'s str>, Scope<'a, 's>),
    Def(&'a Def<&'s str>, Scope<'a, 's>),
}

struct Walk {
    places: Vec<Place>,
    steps: usize,
    depth: usize,
    /// It was given up.
    is_lost: bool,
}

impl Walk {
    /// What a term gives for an input.
    fn run<'a, 's>(&mut self, term: &'a Term<&'s str>, input: &Flow, scope: &Scope<'a, 's>) -> Flow {
        self.steps += 1;
        if self.is_lost || self.steps > STEPS || self.depth > DEEPEST {
            self.is_lost = true;
            return Flow::NOTHING;
        }
        self.depth += 1;
        let flow = self.term(term, input, scope);
        self.depth -= 1;
        flow
    }

    fn term<'a, 's>(&mut self, term: &'a Term<&'s str>, input: &Flow, scope: &Scope<'a, 's>) -> Flow {
        match term {
            Term::Id => input.clone(),
            Term::Recurse => self.whole(input),
            Term::Num(_) | Term::Arr(None) => Flow::COMPUTED,
            Term::Str(format, parts) => {
                for part in parts {
                    if let StrPart::Term(term) = part {
                        let mut value = self.run(term, input, scope);
                        if let Some(format) = format {
                            value = self.call(format, &[], &value, scope);
                        }
                        self.whole(&value);
                    }
                }
                Flow::COMPUTED
            }
            Term::Arr(Some(term)) | Term::Neg(term) => self.run_whole(term, input, scope),
            Term::Obj(fields) => {
                for (key, value) in fields {
                    match (key, value) {
                        (key, Some(value)) => {
                            self.run_whole(key, input, scope);
                            self.run_whole(value, input, scope);
                        }
                        // `{$x}`
                        (key @ Term::Var(_), None) => {
                            self.run_whole(key, input, scope);
                        }
                        // `{title}`
                        (key, None) => {
                            let member = self.index(input, key, input, scope);
                            self.whole(&member);
                        }
                    }
                }
                Flow::COMPUTED
            }
            Term::BinOp(left, operator, right) => self.operation(left, operator, right, input, scope),
            Term::Label(_, term) => self.run(term, input, scope),
            Term::Break(_) => Flow::NOTHING,
            Term::Fold(_, values, pattern, steps) => {
                let values = self.run(values, input, scope);
                let inner = self.bind(pattern, &values, scope, scope.clone());
                let mut steps = steps.iter();
                if let Some(start) = steps.next() {
                    self.run_whole(start, input, scope);
                }
                for step in steps {
                    self.run_whole(step, &Flow::COMPUTED, &inner);
                }
                Flow::COMPUTED
            }
            // An error holds no place that is not needed whole.
            Term::TryCatch(term, otherwise) => {
                let flow = self.run(term, input, scope);
                match otherwise {
                    Some(term) => flow.or(self.run(term, &Flow::COMPUTED, scope)),
                    None => flow,
                }
            }
            Term::IfThenElse(branches, otherwise) => {
                let mut flow = Flow::NOTHING;
                for (condition, then) in branches {
                    self.run(condition, input, scope);
                    flow = flow.or(self.run(then, input, scope));
                }
                flow.or(match otherwise {
                    Some(term) => self.run(term, input, scope),
                    None => input.clone(),
                })
            }
            Term::Def(definitions, term) => {
                let inner =
                    definitions.iter().fold(scope.clone(), |scope, definition| scope.with(Item::Def(definition)));
                self.run(term, input, &inner)
            }
            Term::Call(name, arguments) => self.call(name, arguments, input, scope),
            Term::Var(name) => scope.var(name).unwrap_or_else(|| {
                self.is_lost = true;
                Flow::COMPUTED
            }),
            // `{}[]`, by which `empty` is defined.
            Term::Path(of, path)
                if matches!(&**of, Term::Obj(fields) if fields.is_empty())
                    && matches!(&path.0[..], [(Part::Range(None, None), _)]) =>
            {
                Flow::NOTHING
            }
            Term::Path(of, path) => {
                let mut flow = self.run(of, input, scope);
                for (part, _) in &path.0 {
                    flow = match part {
                        Part::Index(key) => self.index(&flow, key, input, scope),
                        Part::Range(from, to) => {
                            for bound in from.iter().chain(to) {
                                self.run_whole(bound, input, scope);
                            }
                            self.whole(&flow)
                        }
                    };
                }
                flow
            }
        }
    }

    fn operation<'a, 's>(
        &mut self,
        left: &'a Term<&'s str>,
        operator: &'a BinaryOp<&'s str>,
        right: &'a Term<&'s str>,
        input: &Flow,
        scope: &Scope<'a, 's>,
    ) -> Flow {
        match operator {
            BinaryOp::Pipe(pattern) => {
                let value = self.run(left, input, scope);
                match pattern {
                    _ if !value.yields => Flow::NOTHING,
                    None => self.run(right, &value, scope),
                    Some(pattern) => {
                        let inner = self.bind(pattern, &value, scope, scope.clone());
                        self.run(right, input, &inner)
                    }
                }
            }
            BinaryOp::Comma | BinaryOp::Alt => {
                let flow = self.run(left, input, scope);
                flow.or(self.run(right, input, scope))
            }
            BinaryOp::And | BinaryOp::Or => {
                self.run(left, input, scope);
                self.run(right, input, scope);
                Flow::COMPUTED
            }
            BinaryOp::Math(_) | BinaryOp::Cmp(_) => {
                self.run_whole(left, input, scope);
                self.run_whole(right, input, scope)
            }
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                self.whole(input);
                self.run_whole(left, input, scope);
                self.run_whole(right, input, scope)
            }
        }
    }

    fn call<'a, 's>(
        &mut self,
        name: &str,
        arguments: &'a [Term<&'s str>],
        input: &Flow,
        scope: &Scope<'a, 's>,
    ) -> Flow {
        match scope.filter(name, arguments.len()) {
            Some(Filter::Argument(term, scope)) => self.run(term, input, &scope),
            Some(Filter::Def(definition, mut inner)) => {
                for (name, argument) in definition.args.iter().zip(arguments) {
                    inner = inner.with(if name.starts_with('$') {
                        Item::Var(name, self.run(argument, input, scope))
                    } else {
                        Item::Argument(name, argument, scope.clone())
                    });
                }
                self.run(&definition.body, input, &inner)
            }
            None => self.native(name, arguments, input, scope),
        }
    }

    /// What is not written in jq.
    fn native<'a, 's>(
        &mut self,
        name: &str,
        arguments: &'a [Term<&'s str>],
        input: &Flow,
        scope: &Scope<'a, 's>,
    ) -> Flow {
        match (name, arguments) {
            ("first" | "last", [results]) => self.run(results, input, scope),
            ("limit" | "skip", [count, results]) => {
                self.run_whole(count, input, scope);
                self.run(results, input, scope)
            }
            // What has no such member fails as when it is asked for it.
            ("has", [key]) if literal(key).is_some() => {
                self.index(input, key, input, scope);
                Flow::COMPUTED
            }
            _ => {
                // These do not look at their input.
                if !matches!((name, arguments.len()), ("now", 0) | ("range", 3)) {
                    self.whole(input);
                }
                for argument in arguments {
                    self.run_whole(argument, input, scope);
                }
                match name {
                    "error_empty" | "debug_empty" | "stderr_empty" => Flow::NOTHING,
                    _ => Flow::COMPUTED,
                }
            }
        }
    }

    /// Names what a pattern finds in a value. What is computed in it sees `scope`.
    fn bind<'a, 's>(
        &mut self,
        pattern: &'a Pattern<&'s str>,
        value: &Flow,
        scope: &Scope<'a, 's>,
        mut inner: Scope<'a, 's>,
    ) -> Scope<'a, 's> {
        match pattern {
            Pattern::Var(name) => inner.with(Item::Var(name, value.clone())),
            Pattern::Arr(patterns) => {
                let item = self.whole(value);
                for pattern in patterns {
                    inner = self.bind(pattern, &item, scope, inner);
                }
                inner
            }
            Pattern::Obj(fields) => {
                for (key, pattern) in fields {
                    let member = self.index(value, key, value, scope);
                    inner = self.bind(pattern, &member, scope, inner);
                }
                inner
            }
        }
    }

    /// The members of these by a key, which is computed from an input.
    fn index<'a, 's>(&mut self, of: &Flow, key: &'a Term<&'s str>, input: &Flow, scope: &Scope<'a, 's>) -> Flow {
        let Some(name) = literal(key) else {
            self.run_whole(key, input, scope);
            return self.whole(of);
        };
        let places = of.places.iter().map(|place| self.member(*place, &name)).collect();
        Flow { yields: of.yields, places }
    }

    fn member(&mut self, of: usize, name: &str) -> usize {
        let known = self.places[of].members.iter().find(|member| self.places[**member].name == name);
        known.copied().unwrap_or_else(|| {
            let member = self.places.len();
            self.places.push(Place { name: name.to_owned(), ..Place::default() });
            self.places[of].members.push(member);
            member
        })
    }

    fn run_whole<'a, 's>(&mut self, term: &'a Term<&'s str>, input: &Flow, scope: &Scope<'a, 's>) -> Flow {
        let flow = self.run(term, input, scope);
        self.whole(&flow)
    }

    /// These are needed whole; what is in them, or made of them, is none of the places any more.
    fn whole(&mut self, flow: &Flow) -> Flow {
        for place in &flow.places {
            self.places[*place].whole = true;
        }
        Flow::COMPUTED
    }

    fn needs(&self, place: usize) -> Needs {
        let Place { whole, members, .. } = &self.places[place];
        if *whole {
            return WHOLE.clone();
        }
        let member = |at: &usize| (self.places[*at].name.clone().into(), self.needs(*at));
        Needs { whole: false, members: members.iter().map(member).collect() }
    }
}

/// A text without anything to be put in.
pub(super) fn literal(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else { return None };
    parts.iter().try_fold(String::new(), |mut text, part| {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
        Some(text)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::bounds::{Clock, Guard, Limits};
    use super::super::{Evaluator, Expressions, GivenUp, Program, Style, Verdict};
    use super::*;

    /// As `record{id,author{name}}`, and `*` for all there is.
    fn shown(needs: &Needs) -> String {
        if needs.whole {
            return "*".into();
        }
        needs.members.iter().fold(String::new(), |mut text, (name, needs)| {
            let (comma, inner) = (if text.is_empty() { "" } else { "," }, shown(needs));
            let name = String::from_utf8_lossy(name);
            let _ = match &*inner {
                "" => write!(text, "{comma}{name}"),
                "*" => write!(text, "{comma}{name}*"),
                inner => write!(text, "{comma}{name}{{{inner}}}"),
            };
            text
        })
    }

    #[test]
    fn what_is_needed() {
        for (source, printed, tested) in [
            (".", "", ""),
            (".record", "record", "record"),
            (".record, .data, .action", "record,data,action*", "record,data,action"),
            (".record.title", "record{title*}", "record{title}"),
            (".record.title == \"x\"", "record{title*}", "record{title*}"),
            (".[\"record\"] | .\"title\"?", "record{title*}", "record{title}"),
            ("select(.action == \"create\")", "action*", "action*"),
            ("select(.action == \"create\") | .record", "action*,record", "action*,record"),
            (
                ".record | {id, author: .expand.author.name}",
                "record{id*,expand{author{name*}}}",
                "record{id*,expand{author{name*}}}",
            ),
            (". as {action: $a, $record} | $record.id + $a", "action*,record{id*}", "action*,record{id*}"),
            ("\"\\(.action) \\(.record.id)\"", "action*,record{id*}", "action*,record{id*}"),
            ("@csv \"\\([.action, .record.id])\"", "action*,record{id*}", "action*,record{id*}"),
            (".record.tags[]", "record{tags*}", "record{tags*}"),
            (".record.tags | length", "record{tags*}", "record{tags*}"),
            (".record.title | test(\"x\"; \"i\")", "record{title*}", "record{title*}"),
            ("if .late then empty else .record.id end", "late,record{id*}", "late,record{id}"),
            (".record.stars // .record.title // error(\"none\")", "record{stars*,title*}", "record{stars,title}"),
            ("first(.record.a, .record.b), limit(1; .data.c)", "record{a*,b*},data{c*}", "record{a,b},data{c}"),
            ("select(has(\"record\")) | .action", "record,action*", "record,action"),
            ("isempty(.record.x), (.record.y | not)", "record{x,y}", "record{x,y}"),
            ("select(.record) | try (.record.a | error) catch .", "record{a*}", "record{a*}"),
            (
                "def f(g): .record | g; def select($x): .; f(.id), select(.action)",
                "record{id*},action",
                "record{id},action",
            ),
            ("[.record.tags[] | select(. == \"x\")] | any", "record{tags*}", "record{tags*}"),
            ("now - (.time | fromdate) > 5", "time*", "time*"),
            ("[.record]", "record*", "record*"),
            ("{a: .}", "*", "*"),
            (".record.a = 1", "*", "*"),
            (".record | del(.a)", "record*", "record*"),
            (".record[.action]", "record*,action*", "record*,action*"),
            ("..", "*", "*"),
            ("keys", "*", "*"),
            ("to_entries", "*", "*"),
            ("getpath([\"record\", \"title\"])", "*", "*"),
            ("path(.record)", "*", "*"),
            ("reduce .record.tags[] as $t (.record.n; . + $t)", "record{tags*,n*}", "record{tags*,n*}"),
            ("debug", "*", "*"),
            (".record | debug | .id", "record*", "record*"),
            ("debug(.action) | .record.id", "action*,record{id*}", "action*,record{id}"),
            // A definition that calls itself is not followed.
            ("def f: if .a then .a | f else . end; .record | f", "*", "*"),
            (".record.n | until(. > 10; . * 2)", "*", "*"),
        ] {
            for (flag, expected) in [("--jq", printed), ("--until", tested)] {
                let program = Program::parse(flag, source).map_err(|failure| failure.to_string()).unwrap();
                assert_eq!(shown(program.needs()), expected, "{flag} '{source}'");
            }
        }
    }

    /// What others take of the memory meanwhile ends nothing here.
    pub(in crate::cli::jq) fn patient() -> Clock {
        Clock::new(Limits { time: Duration::from_hours(1), memory: u64::MAX, ..Limits::default() })
    }

    /// What comes of each event: with what is needed of it, and with all of it.
    fn judged(expressions: Expressions, lines: &[&str]) -> [Vec<Result<Verdict, GivenUp>>; 2] {
        let clock = Arc::new(patient());
        let guard = Guard::new(&clock);
        let mut evaluator = Evaluator::new(expressions, &clock);
        [false, true].map(|is_whole| {
            if is_whole {
                evaluator.needs = WHOLE.clone();
                evaluator.complained.clear();
            }
            lines.iter().map(|line| evaluator.judge(line.as_bytes(), &guard)).collect()
        })
    }

    fn parsed(jq: Option<&str>, until: &[&str], fail_if: &[&str]) -> Expressions {
        let owned = |sources: &[&str]| sources.iter().map(|source| (*source).to_owned()).collect::<Vec<_>>();
        let parsed = Expressions::parse(jq, &owned(until), &owned(fail_if), Style::default());
        parsed.map_err(|failure| failure.to_string()).unwrap()
    }

    /// Neither as `--jq` nor as a condition.
    fn shows_nothing(source: &str, lines: &[&str]) {
        for expressions in [parsed(Some(source), &[], &[]), parsed(None, &[source], &[])] {
            let [part, whole] = judged(expressions, lines);
            for ((part, whole), line) in part.into_iter().zip(whole).zip(lines) {
                assert_eq!(part, whole, "{source} of {line}");
            }
        }
    }

    pub(in crate::cli::jq) const EXPRESSIONS: &[&str] = &[
        ".",
        "..",
        ".record",
        ".data",
        ".record, .data, .",
        ".record.title",
        ".record.title?",
        ".record?.author.name",
        "(.record.title)?",
        ".\"record\".\"title\"",
        ".[\"record\"][\"title\"]",
        ".[\"rec\\u006frd\"]",
        ".record | .title",
        ".record | .title | .x",
        ".record.title.x.y",
        ".record | {id, stars}",
        ".record | {id, t: .title, \"author\", (.id): .stars, \"a\\(.id)\": 1}",
        ".record | {\"a\\(.x)\"}?",
        ". as $e | .record | {id, a: $e.action, $e}",
        ".record as $r | $r.title, $r",
        ".record as {title: $t, $id} | [$t, $id]",
        ".record as {tags: [$a, {b: $b}]} | $a, $b",
        ".record as [$a] | $a",
        ". as {record: {(\"ti\", \"i\" | . + (\"tle\", \"d\")): $x}} | $x",
        ". as {(.action): $x} | $x",
        ". as {record: $r} | $r | keys",
        ".record[]",
        ".record[]?",
        ".record.tags[]",
        ".record.tags[]?",
        ".record.tags[0], .record.tags[1:], .record.tags[:-1]",
        ".record[0]",
        ".record[1:2]",
        ".record[.action]",
        ".[.action]",
        ".[(\"record\", \"data\")]",
        ".record[\"a\", \"title\"]",
        ".record[{}]",
        ".record.title[0]",
        ".record.title[1:3]",
        "[.record]",
        "[.record] | .[0]",
        "[.record.id, .action]",
        "{a: .record}",
        "{a: .record} | .a",
        "{a: .} | .a.record",
        "{record, action, $__e: 1}",
        "{record} | .record.title",
        "{action, title: .record.title}",
        "\"\\(.action): \\(.record.title)\"",
        "\"\\(.record)\"",
        "\"\\(.)\"",
        "@json \"x \\(.record.title)\"",
        "@text \"x \\(.record)\"",
        "@base64 \"\\(.record.title)\"",
        "@csv \"\\([.record.id, .record.title])\"",
        "@uri \"?\\(.record.title)\", @html \"\\(.record.title)\", @sh \"\\(.record.title)\"",
        "[.record.id, .record.stars] | @csv, @tsv",
        ".record | @json, @text, @sh",
        ".record | tojson",
        ".record.title | tojson, tostring",
        ".record | tostring",
        ".record | length, keys, type",
        ".record | to_entries, (with_entries(.value |= tostring)), (map_values(1))",
        ".record | has(\"title\"), has(\"none\")",
        "has(\"record\", \"data\")",
        ".record | has(0)",
        ".record | [has(.id)]",
        "\"record\" as $k | has($k), .[$k]",
        ".action | in({create: 1})",
        "type, length, keys, keys_unsorted",
        "to_entries[].key",
        "getpath([\"record\", \"title\"])",
        "getpath([\"record\", \"title\", \"x\"])",
        "paths, [paths(type == \"number\")], [path(..)]",
        "path(.record.title), path(.record | select(.title) | .id)",
        "[path(.record.tags[]?)]",
        "pick(.record.title), (pick(.action))",
        "del(.record), del(.record.title), delpaths([[\"record\"]])",
        ".record |= del(.title)",
        ".record.title = \"x\"",
        ".record.title |= ascii_upcase",
        ".record.stars += 1 | .record",
        ".record.stars *= 2",
        ".record.stars //= 2",
        "(.record | .title) = .action | .record.title",
        ".record.title as $t | .action = $t",
        ".action = (.record | length)",
        ".record += {a: 1} | .record.a, .record",
        ".record |= .",
        ".record = .record",
        ".record + {a: 1} | .title, .",
        ".record * {a: {b: 1}} | .a",
        ".record - .record.tags",
        "-.record, -.record.stars",
        ".record.stars * 2, .record.stars / 2, .record.stars % 2, .record.stars - 1",
        ".record.title * 2",
        ".record == null, .record == {}, .record > {}, .record < .data",
        ".record.title == \"x\", .record.stars >= 3, .record.tags == []",
        ".record == .record, . == .",
        "select(.action == \"create\")",
        "select(.action == \"create\" or .late) | .record",
        "select(.record.stars > 3 and (.record.title | test(\"h\"; \"i\")))",
        "select(.record.tags | index(\"x\"))",
        "select(.record.tags | any(. == \"x\"))",
        "select(.record.tags[]? == \"x\") | .record.id",
        "select(.record), select(.data), select(.record.none)",
        "select(.record | not)",
        ".record | not",
        ".record and .data, .record or .data",
        ".record // .data",
        ".record // .data | .title",
        ".record.none // \"-\" | ascii_upcase",
        ".none // .record",
        "empty // .record",
        "(.record.title, .action) // 1",
        "if .record then .record elif .data then .data else . end",
        "if .record.stars > 3 then \"many\" else .record end",
        "if .action == \"delete\" then empty end",
        "if . then .record.title else empty end | [.]",
        "[if .late then .record.title else empty end]",
        "try error(.record) catch .title",
        "try error(.) catch .record",
        "try error catch .record.title",
        "try (.record | error) catch .",
        ".record | error",
        "error(.record)",
        "error(.record.title)",
        "error(null)",
        "try (.record.title.x) catch .",
        "try (.record | .[0:1]) catch .",
        "try (.record | ltrimstr(1)) catch .",
        "try (.record | explode) catch .",
        "try (.record.title | .[]) catch .",
        "try -(.record) catch .",
        "try (.record + 1) catch .",
        "try (.record | fromjson) catch .",
        "try (1 | path(.record)) catch .",
        "try path(1) catch .",
        "try path(.record | 1) catch .",
        "try path(.record | $__x) catch . ",
        "try (path(.record | tostring)) catch .",
        "try (.record | tonumber) catch .",
        "try (.record | test(\"x\")) catch .",
        "try (.record | sort_by(.a)) catch .",
        "try (.record | splits(\"x\")) catch .",
        "try (.record | has({})) catch .",
        "try (.record | has([1])) catch .",
        "try (.record as [$a] | $a) catch .",
        "try (.record[.record]) catch .",
        "try (.[.record]) catch .",
        "try (.record.tags | join(.record)) catch .",
        "try (.record | join(\",\")) catch .",
        "try ([.record, 1] | add) catch .",
        "try (limit(.record; 1, 2)) catch .",
        "[limit(1; .record, .data)]",
        "limit(1; .record, .data)",
        "limit(-1; .record), skip(1; .action, .record), nth(1; .action, .record)",
        "first(.record, .data), last(.record, .data), first, last",
        "first(.record.tags[]?)",
        "isempty(.record), isempty(.record | select(.title))",
        "until(true; .record), [while(.record; .record)]",
        "[.record | recurse | numbers]",
        "[.record | recurse(.author?; . != null)]",
        "[repeat(.record; 1)]?",
        "[.record.tags | .[]?] | sort, unique, reverse, length, min, max, add",
        ".record | add, any, all",
        ".record.tags | map(select(. != \"x\")), flatten",
        ".record | walk(if type == \"string\" then ascii_upcase end)",
        "[..] | length",
        "[.. | strings]",
        ".. | .title?",
        "[..|.title?]",
        "..title?",
        "reduce .record.tags[]? as $t (0; . + 1)",
        "reduce .record.tags[]? as $t (.; .record)",
        "reduce (1, 2) as $n (.record; .author)",
        "reduce .record as $r (.; $r.title)",
        "reduce (.record, .data) as {$title} ([]; . + [$title])",
        "foreach .record.tags[]? as $t (.record; .; {$t, r: .title})",
        "foreach (.record, .data) as $r (0; . + 1; $r.title)",
        "foreach (.record, .data) as $r (0; . + 1; [., $r])",
        "label $out | (.record, .data) | ., break $out",
        "label $f | .record.title, break $f, .action",
        "def f: .record; f.title",
        "def f: .record; f",
        "def f(g): g | .title; f(.record)",
        "def f(g): [g]; f(.record)",
        "def f($x): $x.title; f(.record), f(.data)",
        "def f($x; g): $x | g; f(.record; .title), f(.; .record)",
        "def select(f): .record; select(.x)",
        "def empty: .record; if .late then empty else empty end",
        "def first(f): [f]; first(.record)",
        "def not: .; .record | not",
        "def has($x): .record.title; has(\"a\")",
        "def error: .; .record | error | .title",
        "def @json: .title; .record | @json, @json \"\\(.)\"",
        ". as $e | def f: $e.record; 1 | f | .title",
        ". as $e | def f(g): $e | g; f(.record | .title), f([.record])",
        "def f: def g: .title; .record | g; f",
        "def f: if .author then .author | f else . end; .record | f",
        "def f(x): x | x; .record | f(.author)",
        "def f(x): .record as $r | x; f(.action), (.action as $r | f($r))",
        "def g: .record; def f: g; def g: .data; f, g",
        ".record as $x | .data as $x | $x",
        ".record as $x | (.action as $x | $x), $x.title",
        ".record as $r | [.action] | map(. + ($r.title | tostring))",
        ".record as $r | .action | select($r.title)",
        ".record as $r | {} | .a = $r | .a.title",
        ".record as $r | path(.[$r.title]?)",
        ".record as $r | {a: 1} | .a |= $r",
        ".record.title as $t | .record.tags | index($t)",
        // What is named is seen wherever it is used.
        ".record as $r | try error(\"x\") catch $r.title",
        ".record as $r | try (1 | .a) catch ($r | .title, .id)",
        ".record as $r | {a: 1} | .a |= $r.title",
        ".record as $r | reduce (1, 2) as $n (0; . + ($r.title | length))",
        ".record as $r | foreach (1, 2) as $n (0; .; $r.title)",
        ".record as $r | [2, 1] | map($r.title), sort_by($r.stars), any(. == $r.stars)",
        ". as $e | \"create\" | test($e.action | tostring)",
        ".record as $r | 1 | if $r.none then . elif $r.late then 2 else $r.title end",
        ".record as $r | [limit($r.stars; 1, 2, 3, 4)]?",
        ".record as $r | [1, 2, 3] | .[$r.stars:]?, .[$r.stars]?",
        ".record as $r | path(.a[$r.title | tostring])",
        ".record as $r | 1 | @base64 \"\\($r.title)\", -($r.stars)?",
        ".record as $r | {($r.title | tostring): 1}, {a: $r.id}",
        ".record as $r | {a: 1} as {($r.title | tostring): $x} | $x",
        ".record as $r | label $out | $r.title, break $out",
        ".record as $r | 1 | def f: $r.title; def g(h): [h]; f, g(f), g($r.id)",
        "[.record.title, .action] | join(\" \")",
        "[.record.title, .action] | map(length)",
        ".record.title | ascii_downcase, ltrimstr(\"H\"), rtrimstr(\"o\"), startswith(\"H\"), endswith(\"é\")",
        ".record.title | split(\"\"), explode, utf8bytelength, ascii_upcase, @base64, @uri",
        ".record.title | sub(\"H\"; \"\\(.)\"), gsub(\"[a-z]\"; \"x\"), [match(\"é\").offset], capture(\"(?<x>.)\")",
        ".record | contains({title: \"Hé\"}), inside({})",
        ".record.tags | contains([\"x\"])",
        ".time | fromdate, todate?",
        "[.time, .record.created] | map(strptime(\"%Y\"))?",
        ".record.created | sub(\" \"; \"T\") | fromdate?",
        "now > 0, ([range(3)] | length), (range(.record.stars; 6) | .)",
        "first(range(.record.stars))?",
        ".record.stars | floor, sqrt, tostring",
        "[.record.big, .record.f, .record.e, .record.m] | map(. + 0), .",
        ".record.big, .record.f, .record.e, .record.m",
        ".record.f == 1.5, .record.e > 0",
        "[splits(\"x\")]?",
        "input_line_number?",
        ".record | env?",
        "ascii?",
        ".record.deep",
        ".record.deep.a.b",
        ".record.deep | tojson | length",
        ".record.expand.author.name",
        ".record.expand | .author | .name, .",
        ".a, .topic, .sub, .late, .text",
        ".[]",
        ".[]?",
        "map(.)",
        "map_values(.)",
        ".[0]",
        ".[1:]",
        "ltrimstr(\"a\")",
        "tojson | fromjson | .record.title",
        "[.[]?] | length",
        "add?",
        ".record.title, (.record | .id), .record.id",
        "(.record, .data) | .title",
        "(.record, .data) | select(.title) | {id}",
        "(.record, .action) | objects",
        ".record | select(type == \"object\") | .title",
        ".record | values, nulls, scalars, iterables",
        "tojson, (.record | tojson | fromjson | .title)",
        "@json, @text",
        "[.record.title // empty] | length",
        "[.record.title?, .record.id?]",
        "-1, 1, \"x\", null, true, [], {}, {a: 1}, {}[]",
        "\"\"",
        ".record.title = .record | .record.title.title",
        "to_entries | from_entries | .record.title",
        "with_entries(select(.key == \"record\"))",
        "input?",
        "splits(\"a\"; null)?",
        "getpath([]) | .record.title",
        "[getpath([\"record\"], [\"data\"])] | length",
        "setpath([\"record\", \"title\"]; 1) | .record",
        "tostream?, (. as [$a] ?// $b | $b)?",
        "group_by(.a)?, (.record.tags | group_by(.))?",
        "[.record, .data] | group_by(.title) | length",
        "[.record, .data] | sort_by(.title), min_by(.title), max_by(.title), unique_by(.title)",
        "(.record.tags | transpose)?, ([[.record]] | transpose)",
        "[.record.tags[]? as $t | {$t, title: .record.title}]",
        "$__loc__",
        "limit(3; .record.tags[]?)",
        "any(.record, .data; .title), all(.record, .data; .title)",
        "any(.record.tags[]?; . == \"x\")",
        "if (.record | type) == \"object\" then .record.id else . end",
        "ascii_downcase?",
        ".record.title | if test(\"^H\") then . else empty end",
        ".record.none.x, .none.x.y",
        ".record.none[], .record.none[]?",
        ".none[1:]",
        "halt?",
        "splits?",
        "(.record | .title) as $t | $t",
        ".record | (.title, .id) as $x | [$x, .action]",
        "[.record | .title, .id] as [$t, $i] | {$t, $i}",
        "[[.record.title, 1]] | .[] as [$a, $b] | {$a, $b}",
    ];

    pub(in crate::cli::jq) const LINES: &[&str] = &[
        r#"{"type":"record","time":"2026-11-28T20:00:00.000Z","topic":"posts/*","action":"create","record":{"id":"a","title":"Hé","stars":3,"tags":["x","y"],"big":12345678901234567890,"f":1.50,"e":1e400,"m":-0,"none":null,"created":"2026-01-01 00:00:00.000Z","author":{"name":"u","author":{"name":"v","author":null}},"expand":{"author":{"name":"Ann","id":"u1"}}}}"#,
        r#"{"type":"record","time":"…","topic":"a\"record\":/*","sub":"s","action":"delete","late":true,"record":{"id":"b", "title" : "\u0048\u00e9\/é" , "title":"last","stars":7.0,"tags":[]}}"#,
        r#"{"type":"message","time":"2026-11-28T20:00:00.000Z","topic":"jobs","data":{"title":"job","id":5,"x":[1,{"title":2}]}}"#,
        r#"{"type":"message","topic":"jobs","data":[{"title":1},2]}"#,
        r#"{"type":"message","topic":"jobs","data":"text"}"#,
        r#"{"type":"message","topic":"jobs","text":"plain"}"#,
        r#"{"action":"update","record":"a string"}"#,
        r#"{"action":"update","record":["an","array",{"title":"t"}]}"#,
        r#"{"action":"update","record":null}"#,
        r#"{"action":"update","record":false,"data":true}"#,
        r#"{"action":"update","record":12.50}"#,
        r#"{"action":"update","record":{}}"#,
        r#"{"action":"update"}"#,
        r#"{"action":{"record":{"title":"inner"}},"record":{"title":{"x":{"y":1}},"tags":"no array","stars":"3","id":null}}"#,
        r#"{"record":{"title":"first","id":1},"record":{"stars":2},"action":"a"}"#,
        r#"{"record":{"title":"first"},"record":"second"}"#,
        r#"{"record":null,"record":{"title":"second","id":2}}"#,
        r#"{"\u0072ecord":{"t\u0069tle":"escaped","id":"\ud83e\udd80\ud800"},"a\u0063tion":"create"}"#,
        r#"{"record":{"\ud83d":1,"title":"half"},"action":"create"}"#,
        r#"{"\ud83d":1,"record":{"title":"half"},"action":"create"}"#,
        r#"{"data":{"title":"d"},"record":{"title":"r"},"action":"both"}"#,
        r#" { "record" : { "title" : "spaces" , "tags" : [ "x" , 1 ] } , "action" : "create" } "#,
        r#"{"record":{"title":"a\u0000b","id":"\u007f\u0085","tags":["\t\n\\"]}}"#,
        r#"{"record":{"title":"","":{"":1}},"":""}"#,
        r#"{"record":{"record":{"record":{"title":"in"}}},"data":{"record":1}}"#,
        r#"[{"record":{"title":"x"}}]"#,
        r#"["record"]"#,
        r#""record""#,
        "null",
        "1.50",
        "{}",
        "[]",
        "",
        "{",
        r#"{"record":{"title":1,}}"#,
        r#"{"record":{"title":"x"},"action":tru}"#,
        r#"{"record":{"title":"x" "y"}}"#,
        r#"{"record":{"title":"x"}} x"#,
        r#"{"record":{"title":"x","id":01}}"#,
        r#"{"record":{"title":"x","id":"\x"}}"#,
    ];

    /// Where there is as much room as the thread of jq has.
    fn with_room(test: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(Limits::default().whole_stack()).spawn(test).unwrap();
        assert!(thread.join().is_ok());
    }

    #[test]
    fn nothing_shows_what_was_not_read() {
        let mut tried = 0;
        for source in EXPRESSIONS {
            // Some are no expressions here.
            if Program::parse("--jq", source).is_ok() {
                shows_nothing(source, LINES);
                tried += 1;
            }
        }
        assert!(tried * 10 > EXPRESSIONS.len() * 9, "{tried} of {}", EXPRESSIONS.len());
    }

    /// What is too deep is so also where nobody looks.
    #[test]
    fn depth_that_was_not_read() {
        let arrays = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"record":{{"title":"x","deep":{open}1{close}}},"action":"create"}}"#)
        };
        let objects = |levels: usize| {
            let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
            format!(r#"{{"action":"create","record":{{"deep":{open}{{}}{close},"title":"y"}}}}"#)
        };
        let many =
            format!(r#"{{"action":"create","record":{{"title":"\u00e9","deep":[{}[]]}}}}"#, "[],".repeat(12_000));
        let mut lines =
            [9_996, 9_997, 9_998, 9_999, 10_000, 20_000].map(|levels| [arrays(levels), objects(levels)]).concat();
        lines.push(many);
        with_room(move || {
            for source in
                [".record.title", ".record", ".record.title, .record", ".action | length", ".record.deep | length"]
            {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let [part, whole] = judged(parsed(Some(source), &[], &[]), &lines);
                assert!(part == whole, "{source}");
                let text = |verdict: &Verdict| verdict.printed.clone().unwrap_or_default();
                let printed =
                    part.iter().map(|verdict| verdict.as_ref().is_ok_and(|verdict| !text(verdict).is_empty()));
                let printed: Vec<_> = printed.collect();
                let (yes, no) = (true, false);
                assert_eq!(printed, [yes, yes, yes, yes, yes, yes, no, no, no, no, no, no, yes], "{source}");
            }
        });
    }

    /// What one expression needs is there, whatever another one needs.
    #[test]
    fn several_expressions() {
        for (jq, until, fail_if) in [
            (Some(".record"), ".record.stars > 2", ".action == \"delete\""),
            (Some(".record.title"), ".record | length > 3", ".record.none"),
            (Some(".action"), ".record == null", ".data.title.x"),
            (Some("."), ".late", ".record.author.name == \"u\""),
            (None, ".record.title.x", ".record[]"),
        ] {
            let [part, whole] = judged(parsed(jq, &[until, ".data"], &[fail_if]), LINES);
            assert_eq!(part, whole, "{jq:?}, {until}, {fail_if}");
        }
    }

    const LEAVES: &[&str] = &[
        ".",
        ".",
        ".record",
        ".record",
        ".data",
        ".action",
        ".title",
        ".a",
        ".a?",
        ".record.title",
        ".record.a.title",
        ".record.tags[]?",
        "$v",
        "$v",
        "$v.title",
        "1",
        "\"title\"",
        "null",
        "[]",
        "empty",
        "..",
        "has(\"title\")",
        "keys?",
        "length?",
        "{title}",
        "{record, $v}",
        "f",
        "f",
        "path(.a)",
        "to_entries?",
        "tojson",
        "error",
    ];

    /// With terms for the capital letters. None calls itself: that would not end.
    const SHAPES: &[&str] = &[
        "(A | B)",
        "(A | B)",
        "(A | B)",
        "(A, B)",
        "[A]",
        "{a: A}",
        "{title: A, (B | tojson): C}",
        "(A // B)",
        "(A == B)",
        "(A and B)",
        "(A or B | not)",
        "(A + B)",
        "(A * B)",
        "-(A)",
        "select(A)",
        "(A | select(B))",
        "(if A then B else C end)",
        "(if A then B end)",
        "(try A catch B)",
        "(A)?",
        "(A as $v | B)",
        "(A as {title: $v} | B)",
        "(A as {record: {a: $v}, (\"a\", \"title\"): $w} | B)",
        "(A as [$v] | B)",
        "first(A)",
        "limit(1; A)",
        "isempty(A)",
        "\"\\(A) \\(B)\"",
        "@json \"\\(A)\"",
        "(A).title",
        "(A).record?",
        "(A)[B]",
        "(A)[B]?",
        "(A)[]?",
        "(A)[1:]?",
        "(reduce A as $v (B; C))",
        "(foreach A as $v (B; C; .title?))",
        "(A |= B)",
        "(A = B)",
        "(A += B)",
        "(A //= B)",
        "path(A)",
        "(def h: A; B, h)",
        "(def h: A; B | h)",
        "(def g(f): A; g(B))",
        "(def g($v): A; g(B))",
        "(label $l | A, break $l, B)",
        "map(A)?",
        "del(A)",
        "getpath(A)?",
        "any(A; B)",
        "add(A)",
        "pick(A)?",
        "walk(A)",
        "([A] | first)",
        "sort_by(A)?",
        "map_values(A)?",
    ];

    /// Whatever can be written, of a few names.
    fn expression() -> impl Strategy<Value = String> {
        let leaf = proptest::sample::select(LEAVES);
        leaf.prop_map(ToString::to_string).prop_recursive(4, 16, 3, |inner| {
            let shapes = proptest::sample::select(SHAPES);
            (shapes, inner.clone(), inner.clone(), inner).prop_map(|(shape, a, b, c)| {
                let mut text = String::new();
                for letter in shape.chars() {
                    match letter {
                        'A' => text.push_str(&a),
                        'B' => text.push_str(&b),
                        'C' => text.push_str(&c),
                        letter => text.push(letter),
                    }
                }
                text
            })
        })
    }

    /// A value, by far most often an object, with a few names.
    fn json() -> impl Strategy<Value = String> {
        let names = || {
            proptest::sample::select(vec![
                "\"record\"",
                "\"record\"",
                "\"\\u0072ecord\"",
                "\"data\"",
                "\"title\"",
                "\"title\"",
                "\"a\"",
                "\"\\ud800\"",
                "\"action\"",
                "\"tags\"",
                "\"\"",
            ])
        };
        let leaf = proptest::sample::select(vec![
            "1",
            "1.0",
            "-0",
            "1e400",
            "\"x\"",
            "\"title\"",
            "\"\\u00e9\\/\"",
            "null",
            "false",
            "true",
            "{}",
            "[]",
            "\"\\ud83d\"",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 24, 4, move |inner| {
            let field = (names(), inner.clone(), "[ \n]?")
                .prop_map(|(name, value, space)| format!("{name}{space}:{space}{value}"));
            let object = proptest::collection::vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(",")));
            let array = proptest::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", ")));
            prop_oneof![6 => object, 1 => array]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_expression_sees_what_was_not_read(
            expression in expression(),
            lines in proptest::collection::vec(json(), 1..8),
        ) {
            let source = format!(". as $v | def f: .record; {expression}");
            with_room(move || shows_nothing(&source, &lines.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
}
