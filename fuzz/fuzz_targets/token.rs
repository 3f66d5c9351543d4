#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| bosbase_watch::fuzzing::token(text));
