//! What an expression reads of an event that no event has: `.title`, where the
//! field is one of the record. It is no error to jq, it is `null` each time.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::Part;

/// What reads the event that it is given, and no part of it, in its arguments.
const SAME_INPUT: [&str; 9] =
    ["select", "first", "isempty", "contains", "startswith", "endswith", "test", "del", "limit"];

/// The first name that is read of the event itself and that is none of its keys.
pub(super) fn foreign<'s>(term: &Term<&'s str>, keys: &[&str]) -> Option<&'s str> {
    let on = |term: &Term<&'s str>| foreign(term, keys);
    match term {
        Term::Path(of, path) => on(of).or_else(|| {
            let mut parts = path.0.iter().map(|(part, _)| part);
            let first = parts.clone().next();
            let name = first.filter(|_| matches!(**of, Term::Id)).and_then(|part| match part {
                Part::Index(Term::Str(None, parts)) => literal(parts),
                _ => None,
            });
            name.filter(|name| !keys.contains(name)).or_else(|| {
                parts.find_map(|part| match part {
                    Part::Index(term) => on(term),
                    Part::Range(from, to) => from.iter().chain(to).find_map(on),
                })
            })
        }),
        Term::Str(_, parts) => parts.iter().find_map(|part| match part {
            StrPart::Term(term) => on(term),
            _ => None,
        }),
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) | Term::TryCatch(term, _) => on(term),
        Term::Fold(_, values, ..) => on(values),
        Term::Obj(fields) => fields.iter().find_map(|(key, value)| match (key, value) {
            // `{title}`
            (Term::Str(None, parts), None) => literal(parts).filter(|name| !keys.contains(name)),
            (key, value) => on(key).or_else(|| value.as_ref().and_then(on)),
        }),
        Term::BinOp(left, operator, right) => match operator {
            BinaryOp::Pipe(None) => on(left).or_else(|| on(right).filter(|_| passes(left))),
            // A key may be made.
            BinaryOp::Assign => on(right),
            BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => None,
            _ => on(left).or_else(|| on(right)),
        },
        Term::IfThenElse(branches, otherwise) => branches
            .iter()
            .find_map(|(condition, then)| on(condition).or_else(|| on(then)))
            .or_else(|| otherwise.as_deref().and_then(on)),
        Term::Call(name, arguments) if SAME_INPUT.contains(name) => arguments.iter().find_map(on),
        // Whatever else is called may hand it anything.
        Term::Call(..) | Term::Def(..) => None,
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => None,
    }
}

/// Whether it hands on the event as it is.
fn passes(term: &Term<&str>) -> bool {
    match term {
        Term::Id | Term::Call("select", _) => true,
        Term::BinOp(left, BinaryOp::Pipe(None), right) => passes(left) && passes(right),
        _ => false,
    }
}

/// A text without anything to be put in.
fn literal<'s>(parts: &[StrPart<&'s str, Term<&'s str>>]) -> Option<&'s str> {
    match parts {
        [StrPart::Str(text)] => Some(*text),
        _ => None,
    }
}
