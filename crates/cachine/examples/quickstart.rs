//! The product pages of an on-line shop, without a cache and with one.
//!
//! `cargo run --release --example quickstart`
//!
//! The requests are real: those for the product pages of a shop in December, in their order (see
//! `examples/data/README.md`). The products are made up, and stand in a file of fixed-size
//! records that this program writes first. A request that reaches it costs a seek, a read and the
//! parsing of one record; the file is in the memory of the operating system by then, so a real
//! disk or database would only be slower.

#![expect(clippy::cast_precision_loss, reason = "a table of rounded numbers")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cachine::{Clock, InMemoryCache, ReadThrough};
use indicatif::{ProgressBar, ProgressStyle};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The length of a record of the product file, in bytes.
const RECORD: usize = 256;

#[derive(Debug, PartialEq)]
struct Product {
    id: u32,
    name: String,
    cents: u64,
    text: String,
}

/// The products, in a file.
struct Shop {
    file: Mutex<File>,
    path: PathBuf,
    reads: AtomicU64,
}

/// How a run over all requests went.
struct Run {
    title: &'static str,
    reads: u64,
    /// Of each request, in nanoseconds, sorted.
    times: Vec<u64>,
}

fn main() -> Outcome<()> {
    let requests = requests()?;
    let products = requests.iter().max().map_or(0, |most| most + 1);
    println!("{} requests for {products} products", requests.len());
    let shop = Shop::open(products)?;

    let plain = run("without", &requests, &shop, |id| Ok(shop.product(id)?))?;
    let cache = InMemoryCache::builder().namespace("product").build()?;
    let options = ReadThrough::new().ttl(Duration::from_secs(300)).singleflight(true);
    let cached = run("with Cachine", &requests, &shop, |id| {
        Ok(cache.try_get_or_compute(&id.to_string(), &options, || read(&shop, id))??)
    })?;
    print(&plain, &cached);

    let before = shop.reads();
    cache.clear()?;
    let threads = 1_000;
    stampede(threads, || cache.try_get_or_compute("7", &options, || read(&shop, 7)))?;
    println!("{threads} threads that ask for one product at once: {} read", shop.reads() - before);
    Ok(())
}

/// A product as it is cached: an `Arc`, so that a hit copies no text; its error can be cloned, so
/// that all who wait for it get it.
fn read(shop: &Shop, id: u32) -> Result<Arc<Product>, Arc<io::Error>> {
    shop.product(id).map_err(Arc::new)
}

/// The products that were asked for, in order.
fn requests() -> Outcome<Vec<u32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/web12.u32.xz");
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut bytes = Vec::new();
    lzma_rust2::XzReader::new(file, true).read_to_end(&mut bytes)?;
    let (numbers, _) = bytes.as_chunks();
    Ok(numbers.iter().map(|number| u32::from_le_bytes(*number)).collect())
}

impl Shop {
    /// Writes a file of so many products.
    fn open(products: u32) -> Outcome<Self> {
        let name = format!("cachine-quickstart-{}.products", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = BufWriter::new(File::create_new(&path)?);
        for id in 0..products {
            let cents = 99 + u64::from(id) * 7_919 % 50_000;
            let record = format!("{id}\tProduct {id}\t{cents}\tAs good as product {}", id / 2);
            write!(file, "{record:<RECORD$}")?;
        }
        file.into_inner()?;
        let file = Mutex::new(File::open(&path)?);
        Ok(Self { file, path, reads: AtomicU64::new(0) })
    }

    /// Reads a product from the file.
    fn product(&self, id: u32) -> io::Result<Arc<Product>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut record = [0; RECORD];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(u64::from(id) * RECORD as u64))?;
            file.read_exact(&mut record)?;
        }
        let text = String::from_utf8_lossy(&record);
        let mut fields = text.trim_end().split('\t');
        let mut next = || fields.next().ok_or(io::ErrorKind::InvalidData);
        let invalid = |_| io::ErrorKind::InvalidData;
        let id = next()?.parse().map_err(invalid)?;
        let name = next()?.to_owned();
        let cents = next()?.parse().map_err(invalid)?;
        Ok(Arc::new(Product { id, name, cents, text: next()?.to_owned() }))
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers all requests, and takes the time of each.
fn run(
    title: &'static str,
    requests: &[u32],
    shop: &Shop,
    answer: impl Fn(u32) -> Outcome<Arc<Product>>,
) -> Outcome<Run> {
    let (bar, clock, before) = (progress(title, requests.len()), Clock::System, shop.reads());
    let mut times = Vec::with_capacity(requests.len());
    for part in requests.chunks(1_000) {
        for &id in part {
            let began = clock.now();
            let product = answer(id)?;
            times.push(clock.now() - began);
            assert_eq!(product.id, id, "the right page");
        }
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    times.sort_unstable();
    Ok(Run { title, reads: shop.reads() - before, times })
}

/// A bar in a terminal, nothing anywhere else.
fn progress(title: &'static str, length: usize) -> ProgressBar {
    if !io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:<13} {bar:40} {pos}/{len}");
    let bar = ProgressBar::new(length as u64).with_prefix(title);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn print(plain: &Run, cached: &Run) {
    let row = |name: &str, cell: &dyn Fn(&Run) -> String| {
        println!("{name:<22}{:>14}{:>14}", cell(plain), cell(cached));
    };
    let percent = |run: &Run| 100.0 - 100.0 * run.reads as f64 / run.times.len() as f64;
    let quantile = |run: &Run, share: usize| {
        let at = (run.times.len() * share / 100).min(run.times.len() - 1);
        format!("{:.2} µs", run.times[at] as f64 / 1_000.0)
    };
    println!();
    row("", &|run| run.title.to_owned());
    row("requests", &|run| run.times.len().to_string());
    row("reads of the file", &|run| run.reads.to_string());
    row("hit ratio", &|run| format!("{:.1} %", percent(run)));
    row("p50", &|run| quantile(run, 50));
    row("p99", &|run| quantile(run, 99));
    row("all requests", &|run| format!("{:.1} ms", run.times.iter().sum::<u64>() as f64 / 1e6));
    println!("(The p99 with a cache is a miss, which reads as before, and then stores.)\n");
}

/// Lets many threads do the same at the same moment.
fn stampede<T>(threads: usize, act: impl Fn() -> T + Sync) -> Outcome<()> {
    let together = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let small = thread::Builder::new().stack_size(128 * 1024);
            small.spawn_scoped(scope, || {
                together.wait();
                drop(act());
            })?;
        }
        Ok(())
    })
}
