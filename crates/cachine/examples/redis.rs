//! A price list in Redis: read through by threads, counted, invalidated by a tag; and a lock for
//! what only one may do.
//!
//! `cargo run --example redis --features redis,json`, with a Redis at `localhost:6379`; another
//! address goes behind it: `-- redis://user:password@host:6379/0`.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use cachine::{LockOptions, ReadThrough, RedisCache};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Product {
    name: String,
    cents: u32,
}

/// Stands for a slow database, and counts how often it is asked.
fn load(id: u32, asked: &AtomicU32) -> Product {
    asked.fetch_add(1, Ordering::Relaxed);
    Product { name: format!("Product {id}"), cents: 100 * id + 99 }
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://localhost:6379/0".to_owned());
    let cache = RedisCache::builder().url(&url)?.namespace("cachine-example").build()?;
    let health = cache.ping()?;
    if let Some(error) = health.error {
        println!("There is no Redis to show this with: {error}");
        println!("Start one (`redis-server --save \"\"`), or give its address as an argument.");
        return Ok(());
    }
    println!("{} answers in {:.1?}", health.backend, health.latency);
    cache.clear()?;

    // Twenty threads ask for the same five products at the same time.
    let products = ReadThrough::new()
        .ttl(Duration::from_secs(60))
        .jitter(Duration::from_secs(5))
        .singleflight(true)
        .tags(["prices"]);
    let asked = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..20 {
            let (cache, products, asked) = (&cache, &products, &asked);
            scope.spawn(move || {
                let id = thread % 5 + 1;
                let read = || load(id, asked);
                let product = cache.get_or_compute(&format!("product:{id}"), products, read);
                assert_eq!(product.unwrap().cents, 100 * id + 99);
                cache.incr("reads", 1, None).unwrap();
            });
        }
    });
    println!("{} reads, {} computed", cache.incr("reads", 0, None)?, asked.into_inner());

    if let Some(product) = cache.get::<Product>("product:3")? {
        let left = cache.ttl("product:3")?.unwrap_or_default();
        println!("{}: {} cents, for another {left:.1?}", product.name, product.cents);
    }
    println!("as redis-cli sees it: GET cachine-example:product:3");
    println!("{} entries removed with their tag", cache.invalidate_tags(["prices"])?);
    assert_eq!(cache.get::<Product>("product:3")?, None);

    // One report at a time, also if other processes are about to write one.
    let report = LockOptions::new().ttl(Duration::from_secs(10)).timeout(Duration::from_secs(5));
    let lock = cache.lock_with("report", report)?;
    println!("the report is ours, fenced by token {}", lock.token());
    cache.set("report", &lock.token())?;
    lock.release()?; // Fails if somebody else may have held it meanwhile.

    let stats = cache.stats();
    let (hits, misses, shared) = (stats.hits, stats.misses, stats.coalesced);
    println!("{hits} hits, {misses} misses, of which {shared} waited for another's value");
    cache.clear()?;
    Ok(())
}
