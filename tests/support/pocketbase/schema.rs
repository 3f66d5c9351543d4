//! The collections and users that every test server begins with.

use super::{ANN, Api, BOB, PASSWORD};
use serde_json::{Value, json};

const SIGNED_IN: &str = "@request.auth.id != \"\"";
const OWNER: &str = "author = @request.auth.id";

/// Who may do what; none: superusers only.
#[derive(Clone, Copy, Default)]
struct Rules {
    read: Option<&'static str>,
    create: Option<&'static str>,
    change: Option<&'static str>,
}

pub(super) fn create(api: &Api) {
    // Everyone may read the users, so that everyone can expand an author.
    let users =
        api.patch_collection("users", &json!({"listRule": "", "viewRule": "", "authAlert": {"enabled": false}}));
    api.patch_collection("_superusers", &json!({"authAlert": {"enabled": false}}));
    // The request log is work that nobody reads.
    api.patch_settings(&json!({"logs": {"maxDays": 0}}));
    let author = relation("author", &users);

    let public = Rules { read: Some(""), create: Some(SIGNED_IN), change: Some(SIGNED_IN) };
    let owned = Rules { change: Some(OWNER), ..public };

    let posts = collection(
        api,
        "posts",
        owned,
        vec![
            text("title"),
            text("body"),
            select("status", &["draft", "published", "open"]),
            json!({"name": "stars", "type": "number"}),
            author.clone(),
        ],
    );
    let mut post = relation("post", &posts);
    post["cascadeDelete"] = true.into();
    collection(api, "comments", owned, vec![post, author.clone(), text("text")]);
    collection(
        api,
        "messages",
        Rules { read: Some(SIGNED_IN), ..owned },
        vec![text("room"), text("text"), author.clone()],
    );
    collection(api, "documents", public, vec![text("title"), text("content"), relation("lastEditor", &users)]);
    // `jobs/finished` beside it is a custom topic: hooks/main.pb.js.
    collection(api, "jobs", public, vec![text("name"), select("state", &["queued", "running", "finished", "failed"])]);
    collection(
        api,
        "activity",
        Rules { read: Some(OWNER), create: Some(OWNER), change: Some(OWNER) },
        vec![author, text("what")],
    );
    collection(api, "secrets", Rules::default(), vec![text("text")]);
    // Nothing says when one of these was changed.
    create_collection(api, "plain", public, &[text("text")]);
    api.create_collection(&json!({
        "name": "posts_view",
        "type": "view",
        "viewQuery": "SELECT id, title, status, author, created, updated FROM posts",
        "listRule": "",
        "viewRule": "",
    }));

    for (email, name) in [(ANN, "Ann"), (BOB, "Bob")] {
        user(api, email, name);
    }
}

/// A user who can sign in with [`PASSWORD`].
pub fn user(api: &Api, email: &str, name: &str) -> Value {
    api.create(
        "users",
        &json!({
            "email": email,
            "name": name,
            "password": PASSWORD,
            "passwordConfirm": PASSWORD,
            "verified": true,
        }),
    )
}

/// A collection with `created` and `updated`.
fn collection(api: &Api, name: &str, rules: Rules, mut fields: Vec<Value>) -> Value {
    fields.push(json!({"name": "created", "type": "autodate", "onCreate": true}));
    fields.push(json!({"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true}));
    create_collection(api, name, rules, &fields)
}

fn create_collection(api: &Api, name: &str, rules: Rules, fields: &[Value]) -> Value {
    api.create_collection(&json!({
        "name": name,
        "type": "base",
        "fields": fields,
        "listRule": rules.read,
        "viewRule": rules.read,
        "createRule": rules.create,
        "updateRule": rules.change,
        "deleteRule": rules.change,
    }))
}

fn text(name: &str) -> Value {
    json!({"name": name, "type": "text"})
}

fn select(name: &str, values: &[&str]) -> Value {
    json!({"name": name, "type": "select", "maxSelect": 1, "values": values})
}

fn relation(name: &str, target: &Value) -> Value {
    json!({"name": name, "type": "relation", "maxSelect": 1, "collectionId": target["id"]})
}
