#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosbase_watch::fuzzing::events(data));
