//! A document that is being edited: one record, with whoever edited it last,
//! until it is deleted.
//!
//! ```sh
//! cargo run --example document -- http://127.0.0.1:8090 9f3k2m1x0abcdef
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Action, Client, Event, Topic};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [url, id] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "URL ID")?;
    let realtime = Client::new(&url)?.realtime();
    let mut document = realtime.subscribe(Topic::record("documents", id).expand("lastEditor")).await?;
    while let Some(event) = document.next().await {
        let Event::Record(change) = event? else { continue };
        if change.action() == Action::Delete {
            println!("deleted");
            break;
        }
        let record: serde_json::Value = change.parse()?;
        let editor = record["expand"]["lastEditor"]["name"].as_str().unwrap_or("somebody");
        println!("{editor}: {}", record["content"].as_str().unwrap_or_default());
    }
    Ok(())
}
