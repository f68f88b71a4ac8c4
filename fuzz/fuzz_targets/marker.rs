#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lockstep::fuzz::run("marker", input));
