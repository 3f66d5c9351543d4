//! Connection monitoring: what happens to the connection, beside whatever else
//! is subscribed.
//!
//! ```sh
//! cargo run --example monitor -- http://127.0.0.1:8090
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Client, Event, Realtime, Result, Topic};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| bosbase_watch::DEFAULT_URL.to_owned());
    // It waits for a server that is not there yet.
    let realtime = Realtime::builder(&Client::new(&url)?).max_retries(u32::MAX).build();
    let mut connection = realtime.connection_events()?;
    let _posts = realtime.watch([Topic::collection("posts")])?;
    while let Some(event) = connection.next().await {
        match event? {
            Event::Connected(event) => println!("connected to {} as client {}", event.url, event.client_id),
            Event::Live(_) => println!("live"),
            Event::Disconnected(event) => {
                let again =
                    event.retry.map_or_else(|| "not tried again".to_owned(), |retry| format!("again in {retry:?}"));
                println!("lost {}: {}, {again}", event.topics.join(" "), event.detail);
            }
            Event::Gap(event) => println!("missed {} to {}", event.from, event.to),
            _ => {}
        }
    }
    Ok(())
}
