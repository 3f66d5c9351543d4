//! Text that shares its buffer with what came beside it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A piece of a text. What arrives at once is kept at once: events would otherwise take a piece
/// of memory each, and give it back out of turn, which costs more than to read them.
#[derive(Clone)]
pub(crate) struct Text {
    whole: Arc<str>,
    start: usize,
    end: usize,
}

impl Text {
    /// The pieces of a text that end here, without the byte behind each. The places have to be
    /// boundaries of characters.
    pub(crate) fn lines(whole: &str, ends: &[usize]) -> impl Iterator<Item = Self> {
        let whole: Arc<str> = whole.into();
        let mut start = 0;
        ends.iter().map(move |&end| {
            let from = std::mem::replace(&mut start, end + 1);
            Self { whole: Arc::clone(&whole), start: from, end }
        })
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.whole[self.start..self.end]
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { whole: text.into(), start: 0, end: text.len() }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
