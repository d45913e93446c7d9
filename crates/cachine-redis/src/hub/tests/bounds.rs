//! How much is held, and for how long.

use super::*;

#[test]
fn nothing_is_written_during_a_pause() {
    let mut table = Table::open();
    table.hub.pause(0, table.epoch);
    table.acts.clear();
    let mut call = table.call(b"a", SECOND);
    assert!(table.acts.iter().all(|act| matches!(act, Act::Wake(_))), "{:?}", table.acts);
    table.hub.resume(0, table.epoch);
    assert_eq!(table.written(), packed(b"a"));
    table.receive(b"$1\r\nx\r\n");
    assert_eq!(call.value(), text("x"));
    // Also what was asked for just before.
    let _next = table.call(b"b", SECOND);
    table.hub.pause(0, table.epoch);
    assert!(table.written().is_empty());
    table.hub.resume(0, table.epoch);
    assert_eq!(table.written(), packed(b"b"));
}

#[test]
fn a_write_is_no_longer_than_a_segment_and_a_batch() {
    let mut table = Table::open();
    let value = vec![b'x'; 10_000];
    let calls: Vec<_> = (0..100).map(|_| table.call(&value, SECOND)).collect();
    let mut all = Vec::new();
    let mut turns = 0;
    while let Some(bytes) = table.hub.write(0, table.epoch, <[u8]>::to_vec) {
        assert!(bytes.len() < (64 << 10) + 11_000, "{}", bytes.len());
        all.extend(bytes);
        turns += 1;
    }
    assert_eq!(all, packed(&value).repeat(calls.len()));
    assert!(turns > 10);
}

#[test]
fn taking_batches_back_in_any_order_leaves_the_others() {
    for seed in 0..50u64 {
        let mut table = Table::open();
        table.hub.pause(0, table.epoch);
        let mut chance = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = |below: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % below
        };
        let mut calls = Vec::new();
        for number in 0..60u64 {
            let length = usize::try_from(next(20_000)).unwrap();
            let key = [number.to_string().as_bytes(), &vec![b'.'; length]].concat();
            calls.push((table.call(&key, SECOND), key));
            while next(3) == 0 && !calls.is_empty() {
                let place = usize::try_from(next(calls.len() as u64)).unwrap();
                calls.remove(place);
            }
        }
        table.hub.resume(0, table.epoch);
        let expected: Vec<u8> = calls.iter().flat_map(|(_, key)| packed(key)).collect();
        assert_eq!(table.written(), expected, "seed {seed}");
        assert_eq!(table.hub.counts().line, calls.len());
    }
}

#[test]
fn the_tables_shrink_after_a_burst() {
    let mut table = Table::open();
    let mut calls: Vec<_> = (0..10_000).map(|_| table.call(b"a", 10 * SECOND)).collect();
    table.written();
    assert!(table.hub.counts().capacity >= 10_000);
    // Some stay: a busy cache is never quite empty.
    let stay = calls.split_off(9_900);
    table.receive(&b"$1\r\nx\r\n".repeat(9_900));
    assert!(calls.iter_mut().all(|call| call.value() == text("x")));
    drop(calls);
    let mut others: Vec<_> = (0..50).map(|_| table.call(b"b", 10 * SECOND)).collect();
    table.written();
    table.receive(&b"$1\r\nx\r\n".repeat(150));
    drop(stay);
    assert!(others.iter_mut().all(|call| call.value() == text("x")));
    table.run(20 * SECOND);
    let counts = table.hub.counts();
    assert_eq!((counts.places, counts.line), (0, 0));
    assert!(counts.capacity <= 64, "{counts:?}");
}

#[test]
fn what_a_hub_shows_of_itself_holds_no_secret_and_no_value() {
    let settings = Settings { password: Some("hunter2".to_owned()), ..Settings::default() };
    let mut table = Table::with(&settings);
    let _call = table.call(b"key-of-a-user", SECOND);
    let shown = format!("{:?}", table.hub);
    assert!(!shown.contains("hunter2") && !shown.contains("key-of-a-user"), "{shown}");
}

#[test]
fn a_part_of_a_reply_that_nobody_asked_for_is_found_when_a_long_one_is_let_go() {
    for rest in ["", "$", "$3\r\nab", ":1", "+O", "*1\r\n"] {
        let mut table = Table::open();
        let mut call = table.call(b"a", SECOND);
        table.written();
        let long = "x".repeat(1 << 20);
        table.receive(format!("${}\r\n{long}\r\n{rest}", long.len()).as_bytes());
        assert_eq!(call.value(), text(&long));
        assert_eq!(table.is_aborted(), !rest.is_empty(), "{rest:?}");
    }
}
