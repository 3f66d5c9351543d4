//! Results as JSON. Unlike jaq's own writer this never leaves JSON: what has
//! no form there is written as jq writes it.

use std::io::Write as _;

use jaq_json::{Num, Val};

use crate::cli::output::sanitize;

/// Appends a value as one line of JSON, DEL and C1 escaped.
pub(super) fn write(out: &mut Vec<u8>, value: &Val) {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(number) => self::number(out, number),
        Val::TStr(text) | Val::BStr(text) => sanitize::json_string(out, &String::from_utf8_lossy(text)),
        Val::Arr(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Val::Obj(fields) => {
            out.push(b'{');
            for (at, (key, field)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                match key {
                    Val::TStr(_) | Val::BStr(_) => write(out, key),
                    // jaq allows any value for a key, JSON does not.
                    key => sanitize::json_string(out, &key.to_string()),
                }
                out.push(b':');
                write(out, field);
            }
            out.push(b'}');
        }
    }
}

/// A number that came in goes out as it was; a computed one is written as jq does.
fn number(out: &mut Vec<u8>, number: &Num) {
    /// Beyond it not every whole number is a double.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    // Writing to a Vec cannot fail.
    let _ = match number {
        Num::Float(float) if float.is_nan() => write!(out, "null"),
        Num::Float(float) if float.is_infinite() => {
            write!(out, "{}1.7976931348623157e+308", if *float < 0.0 { "-" } else { "" })
        }
        Num::Float(float) if float.fract() == 0.0 && float.abs() < WHOLE => write!(out, "{float:.0}"),
        number => write!(out, "{number}"),
    };
}
