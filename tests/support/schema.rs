//! Every line of NDJSON that a test sees is held against the schema that is
//! published, and has no key that it does not name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::value::RawValue;

/// Which keys hold what the server sent: anything.
const PAYLOADS: [&str; 2] = ["record", "data"];

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let mut schema: Value = serde_json::from_str(bosbase_watch::cli::EVENTS_SCHEMA).expect("the schema is JSON");
    // Readers ignore what they do not know; here, what is printed has to be known.
    let types = schema["allOf"].as_array().expect("a branch for each type").iter();
    let types: Vec<Value> = types.map(|branch| branch["if"]["properties"]["type"]["const"].clone()).collect();
    schema["properties"]["type"] = serde_json::json!({ "enum": types });
    for part in schema["$defs"].as_object_mut().expect("the parts").values_mut() {
        if part.get("properties").is_some() {
            part["additionalProperties"] = Value::Bool(false);
        }
    }
    schema["$defs"]["subscribed"]["properties"]["auth"]["additionalProperties"] = Value::Bool(false);
    jsonschema::validator_for(&schema).expect("a schema")
});

/// Fails where a line that looks like an event does not meet the schema.
#[track_caller]
pub fn check(stdout: &str) {
    // What follows the last end of a line was cut off when the process was killed.
    let whole = stdout.rsplit_once(['\n', '\0']).map_or("", |(whole, _)| whole);
    for line in
        whole.split(['\n', '\0']).filter(|line| line.starts_with(r#"{"type":""#) && line.contains(r#""time":""#))
    {
        if let Err(error) = check_line(line) {
            panic!("not what docs/events.schema.json says: {error}\n{line}");
        }
    }
}

fn check_line(line: &str) -> Result<(), String> {
    // Payloads may be deeper and have larger numbers than a tree of values can.
    let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut object = serde_json::Map::new();
    for (key, value) in raw {
        let value = match PAYLOADS.contains(&key.as_str()) {
            true => Value::Null,
            false => serde_json::from_str(value.get()).map_err(|error| error.to_string())?,
        };
        object.insert(key, value);
    }
    VALIDATOR.validate(&Value::Object(object)).map_err(|error| error.to_string())
}

#[test]
fn the_schema_refuses_what_is_not_printed() {
    let message = |rest: &str| format!(r#"{{"type":"message","time":"2026-03-01T12:04:31.207Z"{rest}}}"#);
    assert_eq!(check_line(&message(r#","topic":"a","data":1"#)), Ok(()));
    for rest in [
        "",                                      // no topic
        r#","topic":"a""#,                       // no payload
        r#","topic":"a","data":1,"text":"1""#,   // two
        r#","topic":"a","data":1,"other":true"#, // a key that nobody documented
    ] {
        assert!(check_line(&message(rest)).is_err(), "{rest}");
    }
    for line in [
        r#"{"type":"other","time":"2026-03-01T12:04:31.207Z"}"#,
        r#"{"type":"live","time":"2026-03-01T12:04:31Z","initial":0,"replayed":0}"#,
        r#"{"type":"subscribed","time":"2026-03-01T12:04:31.207Z","topics":[],"auth":{"id":"a","collection":"b","expires":null,"x":1}}"#,
    ] {
        assert!(check_line(line).is_err(), "{line}");
    }
}
