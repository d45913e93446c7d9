//! What a cache counted, as Python gets it.

use cachine::core::stats::Counters;

/// (hits, misses, stale, coalesced, sets, deletes, evictions, errors, raw and compressed bytes),
/// hit rate, mean milliseconds of a read, seconds of work saved.
pub(crate) type Numbers = ([u64; 10], f64, f64, f64);

/// Reads counters.
pub(crate) fn read(counters: &Counters) -> Numbers {
    let stats = counters.read();
    let counts = [
        stats.hits,
        stats.misses,
        stats.stale,
        stats.coalesced,
        stats.sets,
        stats.deletes,
        stats.evictions,
        stats.errors,
        stats.raw_bytes,
        stats.compressed_bytes,
    ];
    let latency = stats.mean_latency().as_secs_f64() * 1000.0;
    (counts, stats.hit_rate(), latency, stats.saved.as_secs_f64())
}

/// The name of an operation that is written in Python.
pub(crate) fn known(operation: &str) -> &'static str {
    let known = [
        "delete_many",
        "enter",
        "get_many",
        "get_or_set",
        "lock",
        "ping",
        "set_many",
        "with_namespace",
    ];
    known.into_iter().find(|name| *name == operation).unwrap_or("use")
}
