//! Threads and tasks that share one computation, and a stale value that nobody waits for.
//!
//! `cargo run --example read_through`

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use cachine::{Clock, FakeClock, InMemoryCache, ReadThrough};

/// How often the slow source was asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Debug, PartialEq)]
struct Rate {
    currency: &'static str,
    cents: u32,
}

/// Stands for a slow service.
fn ask_the_bank(currency: &'static str) -> Rate {
    let asked = ASKED.fetch_add(1, Ordering::Relaxed);
    thread::park_timeout(Duration::from_millis(50));
    Rate { currency, cents: 100 + asked }
}

fn main() -> Result<(), cachine::Error> {
    // A clock that only moves when it is told to, so that this takes no minute to show.
    let clock = FakeClock::new();
    let rates = InMemoryCache::builder()
        .max_size(1_000)
        .namespace("rates")
        .clock(Clock::Fake(clock.clone()))
        .build()?;
    let in_threads = ReadThrough::new()
        .ttl(Duration::from_secs(60))
        .singleflight(true)
        .tags(["bank"])
        .stale_ttl(Duration::from_secs(120));
    // The same for tasks. With tokio: `drop(tokio::spawn(task))`; here a thread is the runtime.
    let in_tasks = in_threads
        .clone()
        .refresh_with(|task| drop(thread::Builder::new().spawn(|| pollster::block_on(task))));

    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| rates.get_or_compute("CHF", &in_threads, || ask_the_bank("CHF")));
            scope.spawn(|| {
                let compute = || async { ask_the_bank("CHF") };
                pollster::block_on(rates.get_or_compute_async("CHF", &in_tasks, compute))
            });
        }
    });
    let asked = ASKED.load(Ordering::Relaxed);
    println!("10 threads and 10 tasks asked at once: {asked} computation");
    println!("  {} of them waited for it", rates.stats().coalesced);

    clock.advance(Duration::from_secs(90));
    let read = || {
        let compute = || async { ask_the_bank("CHF") };
        pollster::block_on(rates.get_or_compute_async("CHF", &in_tasks, compute))
    };
    let stale = read()?;
    println!("after 90 seconds, stale, at once: {stale:?}");
    while rates.stats().sets < 2 {
        thread::yield_now(); // Until the refresh behind its back has ended.
    }
    let fresh = read()?;
    println!("after the refresh behind it:      {fresh:?}");
    assert_eq!((stale.cents, fresh.cents), (100, 101));

    rates.invalidate_tags(["bank"])?;
    println!("without the entries of the bank:  {:?}", read()?);
    Ok(())
}
