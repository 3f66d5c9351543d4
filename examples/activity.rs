//! One user's own activity: signed in, with a filter on the author.
//!
//! ```sh
//! PASSWORD=… cargo run --example activity -- http://127.0.0.1:8090 ann@example.com
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use bosbase_watch::{Client, Event, Topic, filter};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [url, email] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "URL EMAIL")?;
    let client = Client::new(&url)?;
    let me = client.collection("users").auth_with_password(&email, std::env::var("PASSWORD")?).await?;
    assert!(client.auth().is_valid());

    // A rule may say `@request.auth.id`; a filter has to name the id.
    let mine = filter("author = {:me}", &[("me", me["id"].as_str().unwrap_or_default().into())])?;
    let topics = ["posts", "comments", "activity"].map(|name| Topic::collection(name).filter(&mine));
    let mut feed = client.realtime().subscribe_all(topics).await?;
    while let Some(event) = feed.next().await {
        if let Event::Record(change) = event? {
            println!("{} {} {}", change.time(), change.action(), change.collection().unwrap_or_default());
        }
    }
    Ok(())
}
