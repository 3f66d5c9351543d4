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
    /// A piece of a text, whose places have to be boundaries of characters.
    pub(crate) fn of(whole: &Arc<str>, start: usize, end: usize) -> Self {
        Self { whole: Arc::clone(whole), start, end }
    }

    /// Keeps nothing of what came beside it: for what is kept on its own.
    pub(crate) fn detach(&mut self) {
        if self.end - self.start < self.whole.len() {
            *self = (**self).into();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_detached_keeps_nothing_else() {
        let whole: Arc<str> = "one\ntwo".into();
        let mut text = Text::of(&whole, 4, 7);
        assert_eq!((&*text, Arc::strong_count(&whole)), ("two", 2));
        text.detach();
        assert_eq!((&*text, text.whole.len(), Arc::strong_count(&whole)), ("two", 3, 1));
        let same = Arc::as_ptr(&text.whole);
        text.detach();
        assert!(std::ptr::addr_eq(same, Arc::as_ptr(&text.whole)), "it is its own already");
    }
}
