//! A dashboard: several collections with different filters and expands, and a
//! custom topic, each with a reader of its own, over one connection.
//!
//! ```sh
//! cargo run --example dashboard -- http://127.0.0.1:8090
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Client, Event, Result, Subscription, Topic};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| bosbase_watch::DEFAULT_URL.to_owned());
    let realtime = Client::new(&url)?.realtime();
    let hits = Topic::collection("posts").filter("status = 'published' && stars > 2").expand("author");
    let comments = Topic::collection("comments").expand("post").fields("text,expand.post.title");
    let open = [Topic::collection("jobs").filter("state != 'queued'"), Topic::custom("jobs/finished")];

    // Two topics may share a reader.
    let mut hits = realtime.subscribe(hits).await?;
    let mut comments = realtime.subscribe(comments).await?;
    let mut jobs = realtime.subscribe_all(open).await?;
    tokio::try_join!(show("hits", &mut hits), show("comments", &mut comments), show("jobs", &mut jobs))?;
    Ok(())
}

/// One panel of the dashboard.
async fn show(panel: &str, feed: &mut Subscription) -> Result<()> {
    let mut count = 0;
    while let Some(event) = feed.next().await {
        match event? {
            Event::Record(change) => {
                count += 1;
                println!("{panel} ({count}): {} {}", change.action(), change.json());
            }
            Event::Message(message) => println!("{panel}: {} {}", message.topic(), message.payload()),
            _ => {}
        }
    }
    Ok(())
}
