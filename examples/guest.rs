//! Guest or signed in: what each of them sees of the same topics.
//!
//! ```sh
//! PASSWORD=… cargo run --example guest -- http://127.0.0.1:8090 ann@example.com
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Client, Event, Result, Topic};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [url, email] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "URL EMAIL")?;
    let (guest, user) = (Client::new(&url)?, Client::new(&url)?);
    user.collection("users").auth_with_password(&email, std::env::var("PASSWORD")?).await?;
    // Each client has a connection and a login of its own.
    tokio::try_join!(show("a guest", guest), show(&email, user))?;
    Ok(())
}

async fn show(who: &str, client: Client) -> Result<()> {
    let topics = ["posts", "messages", "activity"].map(Topic::collection);
    for verdict in client.check(&topics).await? {
        println!("{who}: {}: {}", verdict.topic, verdict.message);
    }
    let mut feed = client.realtime().subscribe_all(topics).await?;
    while let Some(event) = feed.next().await {
        if let Event::Record(change) = event? {
            println!("{who} sees {} in {}", change.action(), change.collection().unwrap_or_default());
        }
    }
    Ok(())
}
