//! A chat room: new messages, and those taken back.
//!
//! ```sh
//! PASSWORD=… cargo run --example chat -- http://127.0.0.1:8090 lobby ann@example.com
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Action, Client, Event, Topic, filter};

#[derive(serde::Deserialize)]
struct Message {
    text: String,
    #[serde(default)]
    expand: Expand,
}

#[derive(Default, serde::Deserialize)]
struct Expand {
    author: Option<Author>,
}

#[derive(serde::Deserialize)]
struct Author {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [url, room, email] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "URL ROOM EMAIL")?;
    let client = Client::new(&url)?;
    client.collection("users").auth_with_password(&email, std::env::var("PASSWORD")?).await?;

    // The room's name is bound, so that it cannot be more than a name.
    let topic = Topic::collection("messages").filter(filter("room = {:room}", &[("room", room.into())])?);
    let mut messages = client.realtime().subscribe(topic.expand("author")).await?;
    while let Some(event) = messages.next().await {
        let Event::Record(change) = event? else { continue };
        let message: Message = change.parse()?;
        let author = message.expand.author.map_or_else(|| "somebody".to_owned(), |author| author.name);
        match change.action() {
            Action::Create => println!("{author}: {}", message.text),
            Action::Delete => println!("{author} took back: {}", message.text),
            _ => println!("{author} corrected: {}", message.text),
        }
    }
    Ok(())
}
