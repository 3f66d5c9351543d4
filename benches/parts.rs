//! The steps of an event's way, one by one.
//!
//! ```sh
//! cargo bench --features bench
//! cargo bench --features bench -- topics      # those whose name has this in it
//! ```
//!
//! What the whole costs, beside other programs: `examples/bench-feed`.

#![allow(missing_docs, reason = "criterion's macros write functions of their own")]

use std::hint::black_box;
use std::pin::pin;

use bosbase_watch::bench::{Jq, Lines, Memory, Topics, Twins};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use eventsource_client::{Client as _, ClientBuilder, ReconnectOptions, SSE};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture};
use sync_wrapper::SyncFuture;

/// So many records are changed in turn.
const RECORDS: u64 = 1000;

/// An update of 550 bytes, newer than the one of the number before.
fn update(number: u64) -> String {
    let fixed = format!(
        r#"{{"record":{{"collectionId":"pbc_1125843985","collectionName":"posts","created":"2026-01-01 00:00:00.000Z","id":"r{:014}","stars":4,"status":"published","tags":["a","b"],"title":"post {number:010}","updated":"2026-01-01 {:02}:{:02}:{:02}.{:03}Z","author":"u1v2w3x4y5z6a7b","body":"BODY"}},"action":"update"}}"#,
        number % RECORDS,
        number / 3_600_000 % 24,
        number / 60_000 % 60,
        number / 1000 % 60,
        number % 1000,
    );
    fixed.replace("BODY", &"Lorem ipsum dolor sit amet, consectetur. ".repeat(16)[..554 - fixed.len()])
}

/// Each update once, as often as it is wanted.
fn updates() -> impl FnMut() -> String {
    let mut number = 0;
    move || {
        number += 1;
        update(number)
    }
}

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Bytes(550));
    let (mut ndjson, mut pretty) = (Lines::ndjson(), Lines::pretty());
    assert!(ndjson.line(update(1)).starts_with(b"{\"type\":\"record\""));
    group.bench_function("ndjson", |bencher| {
        bencher.iter_batched(updates(), |data| black_box(ndjson.line(data)).len(), BatchSize::SmallInput);
    });
    group.bench_function("pretty with diff", |bencher| {
        bencher.iter_batched(updates(), |data| black_box(pretty.line(data)).len(), BatchSize::SmallInput);
    });
    let mut jq = Jq::new(".record.title");
    let line = ndjson.line(update(7)).trim_ascii_end().to_owned();
    assert_eq!(jq.print(&line), b"\"post 0000000007\"\n");
    group.bench_function("jq .record.title", |bencher| bencher.iter(|| jq.print(black_box(&line))));
    group.finish();
}

fn doubles(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("doubles");
    let mut memory = Memory::default();
    let mut next = updates();
    assert!(memory.observe(&Memory::event(next())));
    group.bench_function("memory", |bencher| {
        bencher.iter_batched(|| Memory::event(next()), |event| memory.observe(&event), BatchSize::SmallInput);
    });
    let mut twins = Twins::default();
    assert!(twins.pair("posts/*", update(1), update(1)));
    let mut next = updates();
    group.bench_function("pairing", |bencher| {
        bencher.iter_batched(
            || {
                let data = next();
                (data.clone(), data)
            },
            |(old, new)| assert!(twins.pair("posts/*", old, new)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn topics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("topics");
    for count in [1_usize, 1000] {
        let keys: Vec<String> = (0..count).map(|at| format!("c{at:04}/*")).collect();
        let mut topics = Topics::new(keys.iter().cloned());
        assert!(topics.deliver(&keys[count - 1], update(0)) && !topics.deliver("c9999/*", update(0)));
        // Of each topic one record, so that as much is remembered.
        let mut number = 0_u64;
        let mut at = 0;
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter_batched(
                || {
                    number += 1;
                    at = (at + 1) % count;
                    (&keys[at], update(number))
                },
                |(key, data)| assert!(topics.deliver(key, data)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A server that sends these bytes at once.
#[derive(Clone)]
struct Sends(Bytes);

impl HttpTransport for Sends {
    fn request(&self, _: http::Request<Option<Bytes>>) -> ResponseFuture {
        let chunk = self.0.clone();
        Box::pin(SyncFuture::new(async move {
            let body: ByteStream = Box::pin(stream::iter([Ok(chunk)]));
            let answer = http::Response::builder().header("content-type", "text/event-stream").body(body);
            answer.map_err(launchdarkly_sdk_transport::TransportError::new)
        }))
    }
}

/// Chunks to frames: `eventsource-client` alone.
fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    for per_chunk in [1_u64, 16] {
        let frame = |number| {
            let data = update(number);
            format!("id:bench0000000000000000000000000000000feed\nevent:posts/*\ndata:{data}\n\n")
        };
        let chunk = Bytes::from((0..per_chunk).map(frame).collect::<String>());
        group.throughput(Throughput::Elements(per_chunk));
        let read = || {
            let builder = ClientBuilder::for_url("http://127.0.0.1/").expect("a URL");
            let builder = builder.reconnect(ReconnectOptions::reconnect(false).retry_initial(false).build());
            let mut stream = pin!(builder.build_with_transport(Sends(chunk.clone())).stream());
            let mut events = 0;
            while let Some(Some(Ok(item))) = stream.next().now_or_never() {
                events += u64::from(matches!(item, SSE::Event(_)));
            }
            events
        };
        assert_eq!(read(), per_chunk);
        group.bench_function(format!("eventsource-client, {per_chunk} a chunk"), |bencher| bencher.iter(read));
    }
    group.finish();
}

criterion_group!(parts, lines, doubles, topics, frames);
criterion_main!(parts);
