//! Operations on entries: typed values, their life, tags, counters, steps.

use std::time::SystemTime;

use cachine::{
    Algorithm, Compression, Encryption, ErrorKind, Serializer, SetOptions, Stats, generate_key,
};

use crate::server::Server;
use crate::{SECOND, User, ada, on_both};

fn encryption() -> Encryption {
    Encryption::new(&generate_key()).unwrap()
}

macro_rules! tests {
    () => {
        #[test]
        fn a_value_comes_back_and_its_life_can_be_changed() {
            let server = Server::start();
            enter!({
                for serializer in [Serializer::Json, Serializer::MessagePack] {
                    let cache = builder(&server).serializer(serializer).namespace("n");
                    let cache = cache.build().unwrap();
                    assert_eq!(wait!(cache.get::<User>("k")).unwrap(), None);
                    wait!(cache.set_with("k", &ada(), 100 * SECOND)).unwrap();
                    assert_eq!(wait!(cache.get::<User>("k")).unwrap(), Some(ada()));
                    let left = wait!(cache.ttl("k")).unwrap().unwrap();
                    assert!(left <= 100 * SECOND && left > 50 * SECOND, "{left:?}");
                    assert!(wait!(cache.expire("k", 200 * SECOND)).unwrap());
                    assert!(wait!(cache.ttl("k")).unwrap() > Some(150 * SECOND));
                    let soon = crate::wall_clock() + 50 * SECOND;
                    assert!(wait!(cache.expire_at("k", soon)).unwrap());
                    assert!(wait!(cache.ttl("k")).unwrap() <= Some(50 * SECOND));
                    assert!(wait!(cache.touch("k", Some(300 * SECOND))).unwrap());
                    assert!(wait!(cache.ttl("k")).unwrap() > Some(250 * SECOND));
                    assert!(wait!(cache.persist("k")).unwrap());
                    assert_eq!(wait!(cache.ttl("k")).unwrap(), None);
                    assert!(wait!(cache.exists("k")).unwrap());
                    assert!(wait!(cache.delete("k")).unwrap());
                    assert!(!wait!(cache.delete("k")).unwrap());
                    wait!(cache.set("k", &ada())).unwrap();
                    wait!(cache.set_with("k", &ada(), std::time::Duration::ZERO)).unwrap();
                    assert!(!wait!(cache.exists("k")).unwrap(), "nothing was stored");
                    wait!(cache.set("k", &ada())).unwrap();
                    assert!(wait!(cache.expire_at("k", SystemTime::UNIX_EPOCH)).unwrap());
                    assert!(!wait!(cache.exists("k")).unwrap());
                }
            });
        }

        #[test]
        fn json_stands_in_the_server_as_it_is_and_integers_as_their_decimals() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                wait!(cache.set("user", &ada())).unwrap();
                wait!(cache.set("digits", "17")).unwrap();
                wait!(cache.set("number", &41)).unwrap();
                assert_eq!(wait!(cache.incr("number", 1, None)).unwrap(), 42);
                assert_eq!(
                    wait!(cache.decr("number", i64::MIN, None)).unwrap_err().kind(),
                    ErrorKind::Overflow
                );
                assert_eq!(wait!(cache.get::<u32>("number")).unwrap(), Some(42));
                assert_eq!(
                    wait!(cache.incr("new", i64::MAX, Some(100 * SECOND))).unwrap(),
                    i64::MAX
                );
                assert!(wait!(cache.ttl("new")).unwrap() <= Some(100 * SECOND));
                assert_eq!(wait!(cache.decr("new", i64::MAX, None)).unwrap(), 0);
                assert!(wait!(cache.ttl("new")).unwrap().is_some());
                assert_eq!(
                    wait!(cache.incr("user", 1, None)).unwrap_err().kind(),
                    ErrorKind::Serialization
                );
                let stored = |key| server.say::<String>(&["GET", key]);
                assert_eq!(stored("n:user"), r#"{"name":"Ada","age":36}"#);
                assert_eq!((stored("n:number"), stored("n:new")), ("42".into(), "0".into()));
                let _: () = server.say(&["SET", "n:theirs", r#"{"name":"Bob","age":7}"#]);
                let bob = wait!(cache.get::<User>("theirs")).unwrap().unwrap();
                assert_eq!((bob.name.as_str(), bob.age), ("Bob", 7));
            });
        }

        #[test]
        fn many_keys_at_once_keep_their_order_and_store_all_or_nothing() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                wait!(cache.set_many([("a", ada()), ("b", ada())])).unwrap();
                let found = wait!(cache.get_many::<User, _>(["b", "x", "a"])).unwrap();
                assert_eq!(found, [("b", ada()), ("a", ada())]);
                wait!(cache.set_many_with([("a", 1), ("c", 2)], 100 * SECOND)).unwrap();
                assert!(wait!(cache.ttl("c")).unwrap() <= Some(100 * SECOND));
                let refused = wait!(cache.set_many([("d", 4), ("", 5)])).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InvalidKey);
                let refused = wait!(cache.set_many([("d", 1.0), ("e", f64::NAN)])).unwrap_err();
                assert_eq!(
                    (refused.kind(), refused.operation()),
                    (ErrorKind::Serialization, "set_many")
                );
                assert!(!wait!(cache.exists("d")).unwrap());
                assert_eq!(wait!(cache.delete_many(["a", "b", "x"])).unwrap(), 2);
                assert_eq!(server.keys(), ["n:c"]);
                wait!(cache.set_many_with([("f", 1), ("g", 2)], SetOptions::new().tags(["t"])))
                    .unwrap();
                assert_eq!(wait!(cache.invalidate_tags(["t"])).unwrap(), 2);
            });
        }

        #[test]
        fn tags_and_namespaces_reach_what_they_name_and_nothing_else() {
            let server = Server::start();
            enter!({
                let all = builder(&server).build().unwrap();
                let (shop, blog) =
                    (all.with_namespace("shop").unwrap(), all.with_namespace("blog").unwrap());
                for cache in [&all, &shop, &blog] {
                    wait!(cache.set_with("k", &ada(), SetOptions::new().tags(["t"]))).unwrap();
                }
                assert_eq!(wait!(blog.invalidate_tags(["t"])).unwrap(), 1);
                assert!(wait!(shop.add_tags("k", ["u"])).unwrap());
                assert!(!wait!(shop.add_tags("none", ["u"])).unwrap());
                assert_eq!(wait!(shop.invalidate_tags(["u"])).unwrap(), 1);
                assert_eq!(server.keys(), ["k"]);
                wait!(shop.set("k", &1)).unwrap();
                wait!(shop.with_namespace("inner").unwrap().set("k", &2)).unwrap();
                assert_eq!(wait!(all.get::<u8>("shop:inner:k")).unwrap(), Some(2));
                wait!(shop.clear()).unwrap();
                assert_eq!(server.keys(), ["k"]);
                let refused = wait!(all.clear()).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Config);
                assert!(refused.to_string().contains("clear_all"), "{refused}");
                wait!(all.clear_all()).unwrap();
                assert!(server.keys().is_empty());
                assert_eq!((shop.namespace(), all.namespace()), (Some("shop"), None));
            });
        }

        #[test]
        fn compressed_and_encrypted_values_open_only_under_their_own_key() {
            let server = Server::start();
            enter!({
                let plain = builder(&server).namespace("n").build().unwrap();
                let zstd = Compression::new(Algorithm::Zstd).min_size(0);
                let secret = builder(&server).namespace("n").compression(zstd.clone());
                let secret = secret.encryption(encryption()).build().unwrap();
                let text = "secret ".repeat(1_000);
                wait!(secret.set("k", &text)).unwrap();
                assert_eq!(wait!(secret.get::<String>("k")).unwrap().as_ref(), Some(&text));
                let stored: Vec<u8> = server.say(&["GET", "n:k"]);
                assert!(stored.len() < 300 && !stored.windows(6).any(|part| part == b"secret"));
                let refused = wait!(plain.get::<String>("k")).unwrap_err();
                assert_eq!((refused.kind(), refused.operation()), (ErrorKind::Integrity, "get"));
                let _: bool = server.say(&["COPY", "n:k", "n:moved"]);
                let refused = wait!(secret.get::<String>("moved")).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Integrity);
                wait!(secret.set("number", &4711)).unwrap();
                assert_ne!(server.say::<Vec<u8>>(&["GET", "n:number"]), b"4711");
                assert_eq!(
                    wait!(secret.incr("number", 1, None)).unwrap_err().kind(),
                    ErrorKind::Serialization
                );
                assert_eq!(wait!(secret.incr("counter", 1, None)).unwrap(), 1);
                assert_eq!(wait!(secret.get::<u8>("counter")).unwrap(), Some(1));
                let strict = plain.encrypted(encryption().refuse_counters());
                let refused = wait!(strict.incr("counter", 1, None)).unwrap_err();
                assert_eq!(
                    (refused.kind(), refused.operation()),
                    (ErrorKind::Serialization, "incr")
                );
                wait!(plain.compressed(zstd).set("text", &text)).unwrap();
                assert_eq!(wait!(plain.get::<String>("text")).unwrap(), Some(text));
            });
        }

        #[test]
        fn what_happens_is_counted_and_a_measured_handle_counts_for_itself_too() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let measured = cache.measured();
                wait!(measured.set("k", "12345678")).unwrap();
                wait!(measured.get::<String>("k")).unwrap();
                wait!(measured.get::<String>("none")).unwrap();
                wait!(measured.delete("k")).unwrap();
                wait!(cache.set("k", "text")).unwrap();
                let refused = wait!(cache.get::<User>("k")).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Deserialization);
                let (own, all) = (measured.stats(), cache.stats());
                assert_eq!((own.hits, own.misses, own.sets, own.deletes), (1, 1, 1, 1));
                assert_eq!((own.timed, own.raw_bytes, own.errors), (2, 10, 0));
                assert_eq!((all.hits, all.misses, all.sets, all.errors), (1, 1, 2, 1));
                cache.reset_stats();
                assert_eq!(cache.stats(), Stats::default());
                let health = wait!(cache.ping()).unwrap();
                assert!(health.healthy && health.backend == "redis" && health.error.is_none());
                assert!(wait!(cache.ping_ok()));
            });
        }

        #[test]
        fn a_closed_cache_fails_with_the_name_of_what_was_tried() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                wait!(cache.set("k", &1)).unwrap();
                let view = cache.with_namespace("v").unwrap();
                view.close();
                assert!(view.is_closed() && !cache.is_closed());
                assert_eq!(wait!(cache.get::<u8>("k")).unwrap(), Some(1));
                let (other, open) = (cache.clone(), cache.with_namespace("w").unwrap());
                other.close();
                other.close();
                for error in [
                    wait!(cache.get::<u8>("k")).unwrap_err(),
                    wait!(open.get::<u8>("k")).unwrap_err(),
                    wait!(cache.set("k", &1)).unwrap_err(),
                    wait!(cache.get_many::<u8, _>(["k"])).unwrap_err(),
                    wait!(cache.set_many([("k", 1)])).unwrap_err(),
                    wait!(cache.delete("k")).unwrap_err(),
                    wait!(cache.incr("k", 1, None)).unwrap_err(),
                    wait!(cache.invalidate_tags(["t"])).unwrap_err(),
                    wait!(cache.clear()).unwrap_err(),
                    wait!(cache.ping()).unwrap_err(),
                    cache.with_namespace("x").unwrap_err(),
                ] {
                    assert_eq!(error.kind(), ErrorKind::Closed);
                    assert!(error.to_string().contains(error.operation()), "{error}");
                }
                assert!(!wait!(cache.ping_ok()));
            });
        }
    };
}
on_both!(tests);
