//! A program that does what another one tells it, line by line: Rust beside Python on one server.
//!
//! It is given the address of the server and a namespace, and answers every line with one. What takes
//! time says that it has begun, and goes on when it is told.

use std::error::Error;
use std::io::{self, BufRead, Write, stdin, stdout};
use std::time::Duration;

use cachine::{LockOptions, ReadThrough, RedisCache, SetOptions};

/// The next line that the other program writes, in words.
fn line() -> io::Result<Vec<String>> {
    let mut text = String::new();
    stdin().lock().read_line(&mut text)?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn say(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// A computation: it ends when it is told.
fn computed(value: &str) -> String {
    say("computing").and_then(|()| line()).expect("the other program is there");
    value.to_owned()
}

fn answer(cache: &RedisCache, words: &[&str]) -> Result<String, cachine::Error> {
    let options = ReadThrough::new().ttl(Duration::from_secs(60)).singleflight(true);
    Ok(match *words {
        ["get", key] => cache.get::<String>(key)?.unwrap_or_else(|| "nothing".to_owned()),
        ["set", key, value, ref tags @ ..] => {
            let options = SetOptions::from(Duration::from_secs(60)).tags(tags.iter().copied());
            cache.set_with(key, value, options)?;
            "done".to_owned()
        }
        ["incr", key] => cache.incr(key, 1, None)?.to_string(),
        ["invalidate", ref tags @ ..] => cache.invalidate_tags(tags.iter().copied())?.to_string(),
        ["compute", key, value, ref tags @ ..] => {
            let options = options.tags(tags.iter().copied());
            cache.get_or_compute(key, &options, || computed(value))?
        }
        ["lock", name, milliseconds] => {
            let timeout = Duration::from_millis(milliseconds.parse().unwrap_or_default());
            match cache.lock_with(name, LockOptions::new().timeout(timeout)) {
                Err(error) if error.kind() == cachine::ErrorKind::Timeout => "taken".to_owned(),
                Err(error) => return Err(error),
                Ok(lock) => {
                    computed(&lock.token().to_string());
                    lock.release()?;
                    "released".to_owned()
                }
            }
        }
        _ => format!("what is {words:?}?"),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, namespace] = &arguments[..] else { return Err("wanted: URL NAMESPACE".into()) };
    let timeout = Duration::from_secs(10);
    let cache = RedisCache::builder().url(url)?.namespace(namespace).timeout(timeout).build()?;
    loop {
        let words = line()?;
        if words.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        say(&answer(&cache, &words).unwrap_or_else(|error| format!("error: {error}")))?;
    }
}
