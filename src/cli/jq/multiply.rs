//! `*` within bounds: a text times a number is made in one step, whose memory
//! no clock sees, and where it is not to be had, the program would be aborted.
//!
//! jaq's operators cannot be replaced, so each `*` of an expression is made a
//! call before it is compiled.

use jaq_core::ValR;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;
use jaq_json::{Error, Num, Val};

/// Longer texts are not made.
const LONGEST: usize = 512 << 20;

/// Names that nobody can write.
pub(super) const CALL: &str = "*";
const FACTOR: &str = "$*";

/// Makes a call of each `*`.
pub(super) fn bound(term: &mut Term<&str>) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    bound(term);
                }
            }
        }
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => bound(term),
        Term::Obj(fields) => {
            for (key, value) in fields {
                bound(key);
                value.iter_mut().for_each(bound);
            }
        }
        Term::BinOp(left, operator, right) => {
            bound(left);
            bound(right);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                bound_pattern(pattern);
            }
            let is_update = match operator {
                BinaryOp::Math(Math::Mul) => false,
                BinaryOp::UpdateMath(Math::Mul) => true,
                _ => return,
            };
            let (left, right) = (std::mem::take(&mut **left), std::mem::take(&mut **right));
            *term = if is_update {
                let product = Term::Call(CALL, vec![Term::Id, Term::Var(FACTOR)]);
                let update = Term::BinOp(left.into(), BinaryOp::Update, product.into());
                Term::BinOp(right.into(), BinaryOp::Pipe(Some(Pattern::Var(FACTOR))), update.into())
            } else {
                Term::Call(CALL, vec![left, right])
            };
        }
        Term::Fold(_, values, pattern, steps) => {
            bound(values);
            bound_pattern(pattern);
            steps.iter_mut().for_each(bound);
        }
        Term::TryCatch(term, otherwise) => {
            bound(term);
            if let Some(term) = otherwise {
                bound(term);
            }
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                bound(condition);
                bound(then);
            }
            if let Some(term) = otherwise {
                bound(term);
            }
        }
        Term::Def(definitions, term) => {
            for definition in definitions {
                bound(&mut definition.body);
            }
            bound(term);
        }
        Term::Call(_, arguments) => arguments.iter_mut().for_each(bound),
        Term::Path(term, path) => {
            bound(term);
            for (part, _) in &mut path.0 {
                match part {
                    Part::Index(term) => bound(term),
                    Part::Range(from, to) => from.iter_mut().chain(to).for_each(bound),
                }
            }
        }
    }
}

fn bound_pattern(pattern: &mut Pattern<&str>) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(patterns) => patterns.iter_mut().for_each(bound_pattern),
        Pattern::Obj(fields) => {
            for (key, pattern) in fields {
                bound(key);
                bound_pattern(pattern);
            }
        }
    }
}

/// What is called.
pub(super) fn product(left: Val, right: Val) -> ValR<Val> {
    let length = match (&left, &right) {
        (Val::TStr(text) | Val::BStr(text), Val::Num(times)) | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
            text.len().saturating_mul(count(times))
        }
        _ => 0,
    };
    if length > LONGEST {
        return Err(Error::str(format_args!("a text of more than {} MB is not made", LONGEST >> 20)));
    }
    left * right
}

/// How often; what is no integer is refused, and what is negative makes null.
fn count(times: &Num) -> usize {
    match times {
        Num::Int(times) => usize::try_from(*times).unwrap_or(0),
        // The others are beyond what a text could be repeated.
        Num::BigInt(times) if !times.to_string().starts_with('-') => usize::MAX,
        _ => 0,
    }
}
