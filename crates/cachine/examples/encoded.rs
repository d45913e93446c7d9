//! A cache of a struct that is compressed, encrypted and measured, and whose key is rotated.
//!
//! `cargo run --example encoded --all-features`

use std::time::Duration;

use cachine::{Algorithm, Compression, EncodedCache, Encryption, ReadThrough, generate_key};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Patient {
    id: u32,
    name: String,
    notes: Vec<String>,
}

/// Stands for a slow database.
fn load(id: u32) -> Patient {
    let notes =
        (1..=20).map(|day| format!("Day {day}: temperature 36.8, pulse 72, no complaints."));
    Patient { id, name: "Ada Lovelace".to_owned(), notes: notes.collect() }
}

fn main() -> Result<(), cachine::Error> {
    let key = generate_key(); // In a program: from where it keeps its secrets.
    let store = EncodedCache::builder().namespace("ward").max_weight(1 << 20).build()?;
    let patients = store
        .compressed(Compression::new(Algorithm::Zstd))
        .encrypted(Encryption::new(&key)?.key_id("2024")?)
        .measured();

    let options = ReadThrough::new().ttl(Duration::from_secs(300)).singleflight(true);
    for request in 0..1_000 {
        let id = request % 50;
        let patient = patients.get_or_compute(&format!("patient:{id}"), &options, || load(id))?;
        assert_eq!(patient, load(id));
    }
    let stats = patients.stats();
    println!("hit ratio       {:.1} %", 100.0 * stats.hit_rate());
    println!("bytes           {} before, {} after", stats.raw_bytes, stats.compressed_bytes);

    let stored = patients.stored("patient:7")?.unwrap_or_default();
    println!("what is stored  {}…, {} bytes", stored[..24].escape_ascii(), stored.len());
    assert!(!stored.windows(8).any(|part| part == b"Lovelace"));
    if let Err(error) = store.get::<Patient>("patient:7") {
        println!("without a key   {error}");
    }

    // A new key for what is written from now on; what the old one wrote can still be read.
    let rotation = Encryption::new(&generate_key())?.key_id("2025")?.old_key("2024", &key)?;
    let rotated = store.compressed(Compression::new(Algorithm::Zstd)).encrypted(rotation);
    assert_eq!(rotated.get("patient:7")?, Some(load(7)));
    rotated.set("patient:8", &load(8))?;
    for key in ["patient:7", "patient:8"] {
        let old = if patients.get::<Patient>(key).is_ok() { "reads" } else { "does not read" };
        println!("{key}       the old key {old} it, the new one does");
    }
    Ok(())
}
