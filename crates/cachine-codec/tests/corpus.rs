//! Every fuzz target over its corpus, and over a fixed number of mutations of it, on stable Rust.
//!
//! The fuzzer proper is the crate `fuzz`, outside of the workspace; it runs the same functions and keeps
//! the same corpus. What it finds goes into the corpus, and is tested here from then on.

#[path = "corpus/mutation.rs"]
mod mutation;
#[path = "corpus/targets.rs"]
mod targets;
#[path = "corpus/values.rs"]
mod values;

use std::fs;
use std::path::Path;

use mutation::Mutation;

/// Mutated inputs for each target.
const MUTATIONS: u64 = 20_000;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn run(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(corpus.len() >= 5, "{name} has a corpus of {}", corpus.len());
    for input in &corpus {
        target(input);
    }
    for number in 0..MUTATIONS {
        target(&Mutation::new(number).of(&corpus));
    }
}

#[test]
fn frames() {
    run("frame", targets::frame);
}

#[test]
fn entries_in_the_clear() {
    run("entry", targets::entry);
}

#[test]
fn decompressors() {
    run("decompress", targets::decompress);
}

#[test]
fn compressors() {
    run("compress", targets::compress);
}

#[test]
fn decryption() {
    run("decrypt", targets::decrypt);
}

#[test]
fn json_text() {
    run("json", values::json);
}

#[test]
fn messagepack() {
    run("msgpack", values::msgpack);
}

#[test]
fn payloads_of_exact_serializers() {
    run("exact", values::exact);
}
