//! Frames, as the operations on metadata and counters read them.
#![no_main]

#[path = "../../crates/cachine-codec/tests/corpus/targets.rs"]
#[allow(dead_code, reason = "each binary runs one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::frame(input));
