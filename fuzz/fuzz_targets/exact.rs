//! The payloads of exact serializers.
#![no_main]

#[path = "../../crates/cachine-codec/tests/corpus/values.rs"]
#[allow(dead_code, reason = "each binary runs one of the targets")]
mod values;

libfuzzer_sys::fuzz_target!(|input: &[u8]| values::exact(input));
