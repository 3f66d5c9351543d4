//! Short stand-ins for the data of events, so that the bytes of a record are not taken apart.
//!
//! `eventsource-client` looks at each byte by itself and copies each line three times. So it is
//! handed a digit in place of the value of each line `data:`, and whatever else comes as it is:
//! which lines make an event, what it is called and when it is over stays for it to say. What
//! was meant waits in [`Values`], in the same order.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use memchr::{memchr, memchr2};

use super::transport::MAX_ID;
use crate::text::Text;
use crate::{Error, ErrorKind};

const DATA: &[u8; 5] = b"data:";

/// So much text is kept together, and so much room is kept for the next.
const ROOM: usize = 16 * 1024;

/// What stands in for the line of this number. The order tells which is meant; that the digit is right proves it.
fn stand_in(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// The values that somebody stands in for.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// What is being received, each value with a line feed behind it.
    bytes: Vec<u8>,
    /// How many of these bytes are values that are whole.
    whole: usize,
    /// The values that were received.
    kept: VecDeque<Kept>,
    /// How many lines have been received in all, ...
    received: u64,
    /// ... and how many of them were taken.
    next: u64,
}

/// What came at once, each value with a line feed behind it, which no value has.
#[derive(Debug)]
struct Kept {
    text: Arc<str>,
    /// How much of it was taken.
    taken: usize,
    /// Some of it was not UTF-8 and was replaced by U+FFFD.
    mended: bool,
}

impl Values {
    /// The data that is meant, and whether some of it was not UTF-8 and was replaced by U+FFFD.
    /// `None`: that were no stand-ins, or not the next ones.
    pub(crate) fn take(&mut self, stand_ins: &str) -> Option<(Text, bool)> {
        let lines = stand_ins.len() as u64 / 2 + 1;
        if stand_ins.len().is_multiple_of(2) || self.received - self.next < lines {
            return None;
        }
        for (at, byte) in stand_ins.bytes().enumerate() {
            let expected = if at % 2 == 0 { stand_in(self.next + at as u64 / 2) } else { b'\n' };
            if byte != expected {
                return None;
            }
        }
        let (mut data, mut mended) = self.next_line()?;
        if lines > 1 {
            let mut joined = String::from(&*data);
            for _ in 1..lines {
                let (line, was_mended) = self.next_line()?;
                joined.push('\n');
                joined.push_str(&line);
                mended |= was_mended;
            }
            data = joined.into();
        }
        Some((data, mended))
    }

    fn next_line(&mut self) -> Option<(Text, bool)> {
        let Kept { text, taken, mended } = self.kept.front_mut()?;
        let end = *taken + memchr(b'\n', &text.as_bytes()[*taken..])?;
        let line = Text::of(text, std::mem::replace(taken, end + 1), end);
        let mended = *mended && line.contains(char::REPLACEMENT_CHARACTER);
        if end + 1 == text.len() {
            self.kept.pop_front();
        }
        self.next += 1;
        Some((line, mended))
    }

    /// What was received last of a value is its end.
    fn end_line(&mut self) {
        self.bytes.push(b'\n');
        self.whole = self.bytes.len();
        self.received += 1;
        // A large one has its memory to itself.
        if self.whole > ROOM {
            self.keep();
        }
    }

    /// Keeps the values that are whole, together, until they are taken.
    fn keep(&mut self) {
        if self.whole == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&self.bytes[..self.whole]);
        let mended = matches!(text, Cow::Owned(_));
        self.kept.push_back(Kept { text: text.as_ref().into(), taken: 0, mended });
        self.bytes.drain(..std::mem::take(&mut self.whole));
        if self.bytes.capacity() > 2 * ROOM && self.bytes.len() <= ROOM {
            self.bytes.shrink_to(ROOM);
        }
    }
}

/// How far a stream was read.
#[derive(Debug)]
pub(crate) struct Lines {
    line: Line,
    has_ids: bool,
    /// The number of the next line of data.
    next: u64,
    /// The last line `id:` that came in one piece. It holds until there is another: the same again says nothing.
    id: Vec<u8>,
    /// What is read last ended with a carriage return, which a line feed may belong to.
    after_return: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { line: Line::None, has_ids: true, next: 0, id: Vec::new(), after_return: false }
    }
}

/// What the chunks before have brought of a line.
#[derive(Debug, Default)]
enum Line {
    #[default]
    None,
    /// Its first bytes, and how long it is; all of it was handed on.
    Begun { start: [u8; DATA.len()], len: usize },
    /// It is data; whether some byte of the value has come.
    Data { begun: bool },
}

impl Lines {
    /// Once the first event is out nobody asks for ids any more: an empty one stands in for each,
    /// of which no event needs a copy.
    pub(crate) fn without_ids(&mut self) {
        self.has_ids = false;
    }

    /// Takes in a chunk, and hands on what `eventsource-client` is to read.
    pub(crate) fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>, values: &mut Values) -> Result<(), Error> {
        self.read(chunk, out, values)?;
        values.keep();
        Ok(())
    }

    fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>, values: &mut Values) -> Result<(), Error> {
        let mut rest = chunk;
        if let Line::Begun { start, len } = &mut self.line {
            // Until it is known which field it is.
            while *len < start.len() {
                match rest {
                    [] => return Ok(()),
                    [b'\n' | b'\r', ..] => break,
                    [byte, behind @ ..] => {
                        (start[*len], rest) = (*byte, behind);
                        *len += 1;
                        out.push(*byte);
                    }
                }
            }
            if start == DATA {
                self.line = Line::Data { begun: false };
            }
        }
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest);
            let mut line = &rest[..end.unwrap_or(rest.len())];
            match &mut self.line {
                Line::None => match (line.strip_prefix(DATA), end) {
                    (Some(value), Some(_)) => {
                        out.extend_from_slice(DATA);
                        values.bytes.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
                        self.end_data(out, values);
                    }
                    (Some(value), None) => {
                        out.extend_from_slice(DATA);
                        self.line = Line::Data { begun: !value.is_empty() };
                        values.bytes.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
                    }
                    (None, Some(end)) => {
                        if line == b"id" || line.starts_with(b"id:") {
                            too_long_id(line, line.len())?;
                            line = if self.has_ids { line } else { b"id" };
                            // The line feed of one that is left out would belong to the return before it.
                            if self.id == line && rest[end] == b'\n' && !self.after_return {
                                rest = &rest[end + 1..];
                                continue;
                            }
                            line.clone_into(&mut self.id);
                        }
                        out.extend_from_slice(line);
                        if line == &DATA[..4] {
                            self.end_bare_data(out, values);
                        }
                    }
                    (None, None) => {
                        out.extend_from_slice(line);
                        let mut start = [0; DATA.len()];
                        for (place, byte) in start.iter_mut().zip(line) {
                            *place = *byte;
                        }
                        too_long_id(&start, line.len())?;
                        self.line = Line::Begun { start, len: line.len() };
                    }
                },
                Line::Begun { start, len } => {
                    *len += line.len();
                    too_long_id(&start[..], *len)?;
                    out.extend_from_slice(line);
                    if end.is_some() {
                        if start.starts_with(b"id") {
                            self.id.clear();
                        }
                        let is_data = *len == 4 && start.starts_with(&DATA[..4]);
                        self.line = Line::None;
                        if is_data {
                            self.end_bare_data(out, values);
                        }
                    }
                }
                Line::Data { begun } => {
                    let value = if *begun { line } else { line.strip_prefix(b" ").unwrap_or(line) };
                    *begun |= !line.is_empty();
                    values.bytes.extend_from_slice(value);
                    if end.is_some() {
                        self.line = Line::None;
                        self.end_data(out, values);
                    }
                }
            }
            let Some(end) = end else { break };
            self.after_return = rest[end] == b'\r';
            out.push(rest[end]);
            rest = &rest[end + 1..];
        }
        Ok(())
    }

    /// A value is whole: something stands in for it.
    fn end_data(&mut self, out: &mut Vec<u8>, values: &mut Values) {
        values.end_line();
        out.push(stand_in(self.next));
        self.next += 1;
    }

    /// The same for a line of nothing but the name of the field, which means an empty value.
    fn end_bare_data(&mut self, out: &mut Vec<u8>, values: &mut Values) {
        out.push(b':');
        self.end_data(out, values);
    }
}

/// An id belongs to each event that follows, and would be copied as often.
fn too_long_id(start: &[u8], len: usize) -> Result<(), Error> {
    if len > MAX_ID && start.starts_with(b"id:") {
        let what = format!("the server sent an event whose id is longer than {MAX_ID} bytes");
        return Err(Error::new(ErrorKind::TooLarge, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::sync::Mutex;

    use bytes::Bytes;
    use eventsource_client::{Client as _, ClientBuilder, ReconnectOptions, SSE};
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture};
    use proptest::prelude::*;
    use sync_wrapper::SyncFuture;

    use super::*;

    /// A server that sends these chunks, and ends.
    #[derive(Clone)]
    struct Sends(Arc<Mutex<VecDeque<Bytes>>>);

    impl HttpTransport for Sends {
        fn request(&self, _: http::Request<Option<Bytes>>) -> ResponseFuture {
            let chunks = Arc::clone(&self.0);
            Box::pin(SyncFuture::new(async move {
                let next = move || chunks.lock().unwrap().pop_front().map(Ok);
                let body: ByteStream = Box::pin(stream::iter(std::iter::from_fn(next)));
                Ok(http::Response::builder().body(body).unwrap())
            }))
        }
    }

    /// What `eventsource-client` reads of these chunks, with the data as `data` has it, one item a line.
    fn read(chunks: Vec<Bytes>, has_ids: bool, data: impl Fn(String) -> String) -> Vec<String> {
        let builder = ClientBuilder::for_url("http://127.0.0.1/").unwrap();
        let builder = builder.reconnect(ReconnectOptions::reconnect(false).retry_initial(false).build());
        let sends = Sends(Arc::new(Mutex::new(chunks.into())));
        let mut stream = pin!(builder.build_with_transport(sends).stream());
        let mut read = Vec::new();
        while let Some(Some(item)) = stream.next().now_or_never() {
            match item {
                Ok(SSE::Connected(_)) => {}
                Ok(SSE::Comment(text)) => read.push(format!(":{text}")),
                Ok(SSE::Event(event)) => {
                    let id = event.id.filter(|_| has_ids);
                    read.push(format!("{} {:?} {id:?} {:?}", event.event_type, data(event.data), event.retry));
                }
                Err(error) => read.push(error.to_string()),
            }
        }
        read
    }

    fn plain(chunks: &[&[u8]], has_ids: bool) -> Vec<String> {
        let id = Bytes::from_static(b"id\n");
        let chunks = std::iter::once(id).chain(chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)));
        read(chunks.collect(), has_ids, |data| data)
    }

    fn with_stand_ins(chunks: &[&[u8]], has_ids: bool) -> Vec<String> {
        let values = RefCell::new(Values::default());
        let mut lines = Lines { has_ids, ..Lines::default() };
        let mut handed = vec![Bytes::from_static(b"id\n")];
        for chunk in chunks {
            let mut out = Vec::new();
            lines.take(chunk, &mut out, &mut values.borrow_mut()).unwrap();
            handed.push(out.into());
        }
        read(handed, has_ids, |stand_ins| values.borrow_mut().take(&stand_ins).unwrap().0.to_string())
    }

    fn agrees(stream: &[u8], sizes: impl IntoIterator<Item = usize>) {
        let (mut chunks, mut rest) = (Vec::new(), stream);
        for size in sizes {
            let (chunk, behind) = rest.split_at(size.clamp(1, rest.len().max(1)).min(rest.len()));
            chunks.push(chunk);
            rest = behind;
        }
        chunks.push(rest);
        for has_ids in [true, false] {
            let shown = chunks.iter().map(|chunk| chunk.escape_ascii().to_string()).collect::<Vec<_>>();
            assert_eq!(with_stand_ins(&chunks, has_ids), plain(&chunks, has_ids), "{shown:?}");
        }
    }

    #[test]
    fn each_stream_in_pieces_of_each_size() {
        for stream in [
            "id:1\nevent:posts/*\ndata:{\"a\":1}\n\nid:1\nevent:posts/*\ndata: {}\n\n",
            "data\n\ndata:\n\ndata: \n\ndata:  x\n\ndata :x\n\nxdata:y\n\ndata:x:y\n\n",
            "data:1\ndata:2\ndata\ndata:é日🦀\n\ndata:9\n\n",
            "data:1\r\ndata:2\r\n\r\nid:1\r\ndata:3\r\n\r\nid:1\r\ndata:4\r\n\r\n",
            "data:1\rdata:2\r\rid:7\rdata:3\r\rid:7\rdata:4\r\r",
            // A line that says nothing new stands between a return and a line feed.
            "id:1\ndata:1\rid:1\n\ndata:2\n\n",
            ":c\n\n:data:x\nevent:a\n\nretry:5\ndata:x\nid:a\0b\n\nid:a\0b\ndata:y\n\n",
            "id:1\nid:2\nid:1\ndata:1\n\nid\ndata:2\n\nid:1\ndata:3\n\nid:\ndata:4\n\nid:1\n\n",
            "datadata:x\ndat\nda\nd\n\nevent:data:\ndata:data:\n\n",
            "data:0\n\ndata:1\ndata:open",
            "data:x\n\nda",
            "data:x\n\nid:1",
        ] {
            for size in 1..=stream.len() {
                agrees(stream.as_bytes(), std::iter::repeat_n(size, stream.len() / size));
            }
        }
    }

    #[test]
    fn what_stands_in_for_something_else_is_noticed() {
        for wrong in ["", "1", "0\n", "0\n0", "0\n2", "0 1", "{}"] {
            let (mut values, mut out) = (Values::default(), Vec::new());
            Lines::default().take(b"data:a\ndata:b\n\n", &mut out, &mut values).unwrap();
            assert_eq!(out, b"data:0\ndata:1\n\n");
            assert!(values.take(wrong).is_none(), "{wrong:?}");
            let (data, mended) = values.take("0\n1").unwrap();
            assert_eq!((&*data, mended), ("a\nb", false));
            assert!(values.take("2").is_none());
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced_in_its_own_event() {
        let (mut values, mut out) = (Values::default(), Vec::new());
        let stream = b"data:\xc3\xa9\n\ndata:a\xff\ndata:b\n\ndata:c\n\ndata:\xc3\n\n";
        Lines::default().take(stream, &mut out, &mut values).unwrap();
        for (stand_ins, expected) in
            [("0", ("é", false)), ("1\n2", ("a\u{fffd}\nb", true)), ("3", ("c", false)), ("4", ("\u{fffd}", true))]
        {
            let (data, mended) = values.take(stand_ins).unwrap();
            assert_eq!((&*data, mended), expected);
        }
    }

    #[test]
    fn a_large_event_leaves_no_room_behind() {
        let (mut values, mut lines, mut out) = (Values::default(), Lines::default(), Vec::new());
        lines.take(b"data: ", &mut out, &mut values).unwrap();
        for _ in 0..100 {
            lines.take(&[b'x'; 10_000], &mut out, &mut values).unwrap();
        }
        lines.take(b"\n\n", &mut out, &mut values).unwrap();
        let (data, mended) = values.take("0").unwrap();
        assert_eq!((data.len(), mended), (1_000_000, false));
        assert!(values.bytes.capacity() <= 2 * ROOM);
        // One among others.
        for _ in 0..2 {
            lines.take(b"data:", &mut out, &mut values).unwrap();
            lines.take(&vec![b'x'; 1_000_000], &mut out, &mut values).unwrap();
            lines.take(b"\n\n", &mut out, &mut values).unwrap();
        }
        assert_eq!(values.take("1").unwrap().0.len(), 1_000_000);
        assert_eq!(values.take("2").unwrap().0.len(), 1_000_000);
        assert!(values.bytes.capacity() <= 2 * ROOM);
    }

    /// Neither many short lines nor some that are not UTF-8 take more than they are long.
    #[test]
    fn many_short_lines_take_no_more_than_they_are_long() {
        for piece in [b"data\ndata\ndata\ndata\n".repeat(400), [&b"data:\xff\n"[..], &b"data\n".repeat(1600)].concat()]
        {
            let (mut values, mut lines) = (Values::default(), Lines::default());
            for _ in 0..100 {
                lines.take(&piece, &mut Vec::new(), &mut values).unwrap();
            }
            let kept: usize = values.kept.iter().map(|kept| kept.text.len() + size_of::<Kept>()).sum();
            assert!(values.received >= 160_000 && kept < 180_000, "{kept} bytes for {} lines", values.received);
            let stand_ins: Vec<String> = (0..values.received).map(|line| (line % 10).to_string()).collect();
            let (data, mended) = values.take(&stand_ins.join("\n")).unwrap();
            assert_eq!((data.lines().count() as u64 + 1, mended), (values.received, piece.contains(&0xff)));
            assert!(values.kept.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_stream_in_any_pieces(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "data", "data:", "id", "id:", "id:1", "event:", "event:a", "retry:3", "x", ":", " ", "\n", "\r", "\n\n",
                    "\r\n", "\r\n\r\n", "\0", "é", "🦀", "\u{feff}", "0", "1", "data:0\n", "id:1\n", "data: {\"a\":[1]}\n\n",
                ]),
                0..40,
            ),
            sizes in prop::collection::vec(1_usize..12, 0..60),
        ) {
            agrees(parts.concat().as_bytes(), sizes);
        }
    }
}
