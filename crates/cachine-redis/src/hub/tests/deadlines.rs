//! What time does to calls and connections.

use super::*;

#[test]
fn a_silent_connection_is_suspect_with_the_first_call_that_waited_its_time() {
    let mut table = Table::open();
    let mut one = table.call(b"a", SECOND);
    table.written();
    table.pass(400);
    let mut two = table.call(b"b", SECOND);
    table.written();
    table.run(599);
    assert!(one.outcome().is_none());
    table.run(1);
    let fault = one.fault();
    assert_eq!((fault.sent, fault.cause), (Sent::Maybe, Cause::Deadline));
    let fault = two.fault();
    assert_eq!((fault.sent, fault.cause), (Sent::Maybe, Cause::Connection));
    assert!(table.is_aborted());
    let _next = table.call(b"c", SECOND);
    table.connect();
}

#[test]
fn silence_is_noticed_by_those_behind_a_more_patient_call() {
    let mut table = Table::open();
    let mut patient = table.call(b"a", 10 * SECOND);
    let mut usual = table.call(b"b", SECOND);
    table.written();
    table.run(999);
    assert!(!table.is_aborted());
    table.run(1);
    assert!(table.is_aborted());
    assert_eq!(usual.fault().cause, Cause::Deadline);
    assert_eq!(patient.fault().cause, Cause::Connection);
}

#[test]
fn a_short_deadline_does_not_end_a_connection_that_is_only_busy() {
    let mut table = Table::open();
    let mut patient = table.call(b"a", SECOND);
    let mut hasty = table.call(b"b", 5);
    table.written();
    table.run(500);
    assert_eq!(hasty.fault().cause, Cause::Deadline);
    assert!(!table.is_aborted());
    table.receive(b"$1\r\nx\r\n$1\r\ny\r\n");
    assert_eq!(patient.value(), text("x"));
    assert_eq!(table.hub.counts().places, 0);
}

#[test]
fn short_deadlines_alone_find_a_dead_connection_in_the_end() {
    let mut table = Table::open();
    let begun = table.hub.now();
    let mut calls = Vec::new();
    while !table.is_aborted() {
        calls.push(table.call(b"a", 5));
        table.written();
        table.run(10);
        assert!(table.hub.now() < begun + 2_000_000_000, "it goes on for ever");
    }
    assert!(table.hub.now() >= begun + 900_000_000);
    assert!(calls.iter_mut().all(|call| call.fault().cause == Cause::Deadline));
}

#[test]
fn a_call_behind_a_slow_one_that_is_answered_steadily_ends_alone() {
    let mut table = Table::open();
    // Others are answered all the time; this one's turn has not come.
    let mut line: Vec<_> = (0..10).map(|_| table.call(b"a", 10 * SECOND)).collect();
    let mut last = table.call(b"b", SECOND);
    table.written();
    for _ in 0..10 {
        table.run(150);
        table.receive(b"$1\r\nx\r\n");
    }
    assert_eq!(last.fault().cause, Cause::Deadline);
    assert!(!table.is_aborted());
    assert!(line.iter_mut().all(|call| call.value() == text("x")));
    table.receive(b"$1\r\nlate\r\n"[..].as_ref());
}

#[test]
fn a_reply_that_drips_does_not_keep_its_connection_alive() {
    let mut table = Table::open();
    let mut one = table.call(b"a", SECOND);
    table.pass(500);
    table.written();
    let mut two = table.call(b"b", 10 * SECOND);
    table.written();
    table.receive(b"$90\r\n");
    let mut dripped = 500;
    while !table.is_aborted() {
        table.run(100);
        dripped += 100;
        table.receive(b"x");
        assert!(dripped < 3000, "it drips for ever");
    }
    assert!((1400..=1600).contains(&dripped), "{dripped}");
    assert_eq!(one.fault().cause, Cause::Deadline);
    let fault = two.fault();
    assert_eq!((fault.sent, fault.cause), (Sent::Maybe, Cause::Connection));
}

#[test]
fn a_large_reply_within_its_deadline_may_take_its_time() {
    let mut table = Table::open();
    let mut call = table.call(b"a", 30 * SECOND);
    table.written();
    table.receive(b"$50\r\n");
    for _ in 0..50 {
        table.run(500);
        table.receive(b"x");
    }
    table.receive(b"\r\n");
    assert_eq!(call.value(), text(&"x".repeat(50)));
}

#[test]
fn what_was_cancelled_and_never_answered_makes_a_connection_suspect_all_the_same() {
    let mut table = Table::open();
    let call = table.call(b"a", SECOND);
    table.written();
    drop(call);
    // A timer that was armed for something else must not forget this one.
    table.run(100);
    table.acts.clear();
    table.hub.tick();
    table.run(899);
    assert!(!table.is_aborted());
    table.run(1);
    assert!(table.is_aborted());
    assert_eq!(table.hub.counts().places, 0);
}

#[test]
fn a_batch_that_reached_its_deadline_unwritten_was_not_sent_and_never_is() {
    let mut table = Table::open();
    table.hub.pause(0, table.epoch);
    let mut hasty = table.call(b"a", 100);
    let mut patient = table.call(b"b", SECOND);
    table.run(200);
    let fault = hasty.fault();
    assert_eq!((fault.sent, fault.cause), (Sent::No, Cause::Deadline));
    table.hub.resume(0, table.epoch);
    assert_eq!(table.written(), packed(b"b"));
    table.receive(b"$1\r\ny\r\n");
    assert_eq!(patient.value(), text("y"));
}

#[test]
fn connecting_ends_after_its_own_time() {
    let timeouts = Settings { connect_timeout: Duration::from_millis(300), ..Settings::default() };
    for is_connected in [false, true] {
        let mut table = Table::with(&timeouts);
        let mut call = table.call(b"a", SECOND);
        if is_connected {
            table.connect();
            table.written();
        }
        table.run(299);
        assert!(call.outcome().is_none());
        table.run(1);
        let fault = call.fault();
        assert_eq!((fault.sent, fault.cause), (Sent::No, Cause::Deadline));
        assert!(fault.text.contains("connect_timeout"));
        assert!(table.is_aborted());
    }
}

#[test]
fn connecting_ends_with_the_last_call_that_needs_it() {
    let slow = Settings { connect_timeout: Duration::from_secs(60), ..Settings::default() };
    let mut table = Table::with(&slow);
    let (mut one, mut two) = (table.call(b"a", 100), table.call(b"b", 300));
    table.run(299);
    assert_eq!(one.fault().cause, Cause::Deadline);
    assert!(!table.is_aborted());
    table.run(1);
    let fault = two.fault();
    assert_eq!((fault.sent, fault.cause), (Sent::No, Cause::Deadline));
    assert!(table.is_aborted());
}

#[test]
fn a_call_without_time_is_not_sent() {
    let mut table = Table::open();
    let link = Looped::new(Arc::clone(&table.hub));
    let batch = Batch::one(Class::Once, &redis::cmd("PING"));
    let late = crate::link::finish(link.call(Node(0), &batch, link.now())).unwrap();
    let fault = late.unwrap_err();
    assert_eq!((fault.sent, fault.cause), (Sent::No, Cause::Deadline));
    assert!(table.written().is_empty());
}

#[test]
fn one_timer_is_armed_and_only_for_an_earlier_deadline() {
    let mut table = Table::open();
    table.run(2 * SECOND);
    table.acts.clear();
    let first = table.call(b"a", SECOND);
    let _later = table.call(b"b", 2 * SECOND);
    let sooner = table.call(b"c", 500);
    let wakes: Vec<_> = table.acts.iter().filter(|act| matches!(act, Act::Wake(_))).collect();
    assert_eq!(wakes, [&Act::Wake(first.until), &Act::Wake(sooner.until)]);
}

#[test]
fn a_timer_that_goes_off_early_is_armed_again() {
    let mut table = Table::open();
    let call = table.call(b"a", SECOND);
    table.written();
    table.acts.clear();
    table.pass(999);
    table.hub.tick();
    table.look();
    assert_eq!(table.acts, [Act::Wake(call.until)]);
}

#[test]
fn sleeping_ends_on_time() {
    let mut table = Table::new();
    let link = Looped::new(Arc::clone(&table.hub));
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut work = Box::pin(async move { link.sleep(Duration::from_millis(200)).await });
    let mut other = {
        let link = Looped::new(Arc::clone(&table.hub));
        Box::pin(async move { link.sleep(Duration::from_millis(100)).await })
    };
    assert!(work.as_mut().poll(&mut context).is_pending());
    assert!(other.as_mut().poll(&mut context).is_pending());
    drop(other);
    table.run(199);
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    table.run(1);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert!(matches!(work.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
    assert_eq!(table.hub.counts().naps, 0);
}
