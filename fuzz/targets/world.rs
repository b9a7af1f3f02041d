#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| project436_fuzz::run("world", data));
