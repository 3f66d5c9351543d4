//! A line on the terminal that tells how far the listing is, and is gone afterwards.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::output::{fitting, sanitize};

/// How often it changes at the most.
const PACE: Duration = Duration::from_millis(100);

/// Erases the line from its beginning.
const ERASE: &[u8] = b"\r\x1b[K";

pub(super) struct ListingLine {
    /// What is told: the topic, how many so far, and how many there are.
    topic: String,
    count: u64,
    total: Option<u64>,
    drawn: bool,
    next: Instant,
}

impl ListingLine {
    /// `None` where there is nobody to read it.
    pub(super) fn new(wanted: bool) -> Option<Self> {
        (wanted && io::stderr().is_terminal()).then(|| Self {
            topic: String::new(),
            count: 0,
            total: None,
            drawn: false,
            next: Instant::now() + PACE * 3,
        })
    }

    /// One more record of this topic.
    pub(super) fn count(&mut self, topic: &str) {
        if self.topic != topic {
            topic.clone_into(&mut self.topic);
            (self.count, self.total) = (0, None);
        }
        self.count += 1;
    }

    pub(super) fn set_total(&mut self, total: Option<u64>) {
        self.total = total.or(self.total);
    }

    /// Whether it is time to draw it again.
    pub(super) fn is_due(&self) -> bool {
        self.count > 0 && Instant::now() >= self.next
    }

    pub(super) fn draw(&mut self, width: Option<usize>) {
        self.next = Instant::now() + PACE;
        self.drawn = true;
        let mut line = ERASE.to_vec();
        let text = text(&self.topic, self.count, self.total);
        line.extend_from_slice(fitting(&text, width.unwrap_or(80).saturating_sub(1)).as_bytes());
        let _ = io::stderr().lock().write_all(&line);
    }

    /// Makes room for what else is printed.
    pub(super) fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = io::stderr().lock().write_all(ERASE);
        }
    }
}

impl Drop for ListingLine {
    fn drop(&mut self) {
        self.erase();
    }
}

fn text(topic: &str, count: u64, total: Option<u64>) -> String {
    let topic = sanitize::terminal(topic);
    match total.filter(|total| *total >= count) {
        Some(total) => {
            let percent = count * 100 / total.max(1);
            format!("· listing      {topic} · {} of {} records ({percent}%)", grouped(count), grouped(total))
        }
        None => format!("· listing      {topic} · {} records", grouped(count)),
    }
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_well() {
        assert_eq!(text("posts/*", 34_000, Some(100_000)), "· listing      posts/* · 34,000 of 100,000 records (34%)");
        assert_eq!(text("posts/*", 999, None), "· listing      posts/* · 999 records");
        assert_eq!(text("posts/*", 1_234_567, Some(5)), "· listing      posts/* · 1,234,567 records");
    }
}
