//! Clean-up: subscriptions end one by one, by prefix, by dropping them, and all
//! at once, which closes the connection, and the server forgets the client.
//!
//! ```sh
//! cargo run --example cleanup -- http://127.0.0.1:8090      # Ctrl-C ends it
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Client, Event, Result, Topic};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| bosbase_watch::DEFAULT_URL.to_owned());
    let realtime = Client::new(&url)?.realtime();
    let topics = ["posts", "comments", "documents"].map(Topic::collection);
    let mut feed = realtime.subscribe_all(topics).await?;
    let jobs = realtime.subscribe(Topic::custom("jobs/finished")).await?;
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            Some(event) = feed.next() => match event? {
                Event::Live(_) => println!("watching"),
                Event::Record(change) => println!("{} {}", change.action(), change.topic()),
                _ => {}
            },
            else => break,
        }
    }
    println!("by topic: {}", realtime.unsubscribe("posts/*").await);
    println!("by prefix: {}", realtime.unsubscribe_prefix("comments").await);
    drop(jobs);
    println!("everything: {}", realtime.unsubscribe_all().await);
    while let Some(event) = feed.next().await {
        if let Event::Disconnected(event) = event? {
            println!("closed on purpose: {}", event.topics.is_empty());
        }
    }
    Ok(())
}
