//! How those who wait for a computation in another process learn that nothing will be stored.

use cachine_redis::client::{Claim, Ending, Fill, Held, Want};

use crate::scene::{LEASE, Scene, done, fresh, list, want};

impl Scene {
    fn claim(&self, wanted: Want<'_>) -> Claim {
        done(self.client.claim(&self.names, "k", wanted)).unwrap()
    }

    /// A caller that finds another one computing.
    fn held(&self, wanted: Want<'_>) -> Held {
        match self.claim(wanted) {
            Claim::Held(held) => held,
            other => panic!("{other:?}"),
        }
    }

    fn end(&self, fill: Fill, ending: Ending) -> bool {
        done(self.client.end(&self.names, "k", fill, ending)).unwrap()
    }
}

#[test]
fn all_who_waited_for_one_that_failed_compute_at_once() {
    let scene = Scene::new();
    let fill = scene.compute("k", want());
    let (one, two) = (scene.held(want()), scene.held(want()));
    assert!(scene.end(fill, Ending::Alone));
    let after = |held| scene.claim(Want { awaited: Some(held), ..want() });
    let Claim::Compute(first) = after(&one) else { panic!("the first takes the place") };
    let Claim::Compute(second) = after(&two) else { panic!("the second computes beside it") };
    assert!(first.is_own() && !second.is_own());
    let newcomer = scene.held(want());
    assert!(newcomer.left > LEASE / 2, "who did not wait for the one that failed waits now");
    // The second is done first; nobody takes the right of the first away by that.
    assert!(scene.end(second, Ending::Alone));
    let life = fresh(LEASE);
    assert!(done(scene.client.fill(&scene.names, "k", first, b"1".to_vec(), life, &[])).unwrap());
    assert_eq!(scene.get("k").as_deref(), Some("1"));
}

#[test]
fn of_those_who_compute_side_by_side_each_knows_whether_something_was_written() {
    for is_written in [false, true] {
        let scene = Scene::new();
        let fill = scene.compute("k", want());
        let [one, two, three] = [(); 3].map(|()| scene.held(want()));
        assert!(scene.end(fill, Ending::Alone));
        let beside = |held| scene.compute("k", Want { awaited: Some(held), ..want() });
        let (own, second, third) = (beside(&one), beside(&two), beside(&three));
        if is_written {
            done(scene.client.delete(&scene.names, "k")).unwrap();
        }
        // The owner of the token is done first, then somebody new comes, and then the others are done.
        assert_eq!(scene.end(own, Ending::Alone), !is_written);
        assert_eq!(scene.end(second, Ending::Alone), !is_written);
        let newcomer = scene.compute("k", want());
        assert_eq!(scene.end(third, Ending::Alone), !is_written);
        assert!(scene.end(newcomer, Ending::Alone));
    }
}

#[test]
fn who_did_not_wait_for_an_ending_computes_as_if_there_was_none() {
    for ending in [Ending::Alone, Ending::Nothing] {
        let scene = Scene::new();
        let fill = scene.compute("k", want());
        assert!(scene.end(fill, ending));
        let second = scene.compute("k", want());
        assert!(second.is_own(), "it took the place");
        assert!(scene.pttl(&scene.names.token("k")) > 30_000, "with a lease of its own");
        assert!(done(scene.client.renew(&scene.names, "k", &second, LEASE)).unwrap());
        let stranger = scene.held(want());
        assert!(done(scene.client.release(&scene.names, "k", second)).unwrap());
        assert!(scene.compute("k", Want { awaited: Some(&stranger), ..want() }).is_own());
    }
}

#[test]
fn who_waited_has_nothing_too_even_when_somebody_computes_again() {
    for is_again in [false, true] {
        let scene = Scene::new();
        let tags = list(&["t", "u"]);
        let turned = list(&["u", "t"]);
        let tagged = |awaited| Want { tags: &turned, has_late_tags: true, awaited, ..want() };
        let fill = scene.compute("k", Want { tags: &tags, has_late_tags: true, ..want() });
        let held = scene.held(tagged(None));
        assert!(scene.end(fill, Ending::Nothing));
        if is_again {
            scene.compute("k", tagged(None));
        }
        let Claim::Nothing(nothing) = scene.claim(tagged(Some(&held))) else {
            panic!("{is_again}")
        };
        assert!(done(scene.client.is_nothing(&scene.names, "k", &nothing)).unwrap());
        done(scene.client.invalidate_tags(&scene.names, &list(&["t"]))).unwrap();
        assert!(!done(scene.client.is_nothing(&scene.names, "k", &nothing)).unwrap());
    }
}

#[test]
fn nothing_is_out_of_date_after_whatever_was_written_or_invalidated() {
    type Change = fn(&Scene);
    let changes: [(&str, Change); 5] = [
        ("delete", |scene| {
            done(scene.client.delete(&scene.names, "k")).unwrap();
        }),
        ("set, delete", |scene| {
            scene.set("k", "1", None, &[]);
            done(scene.client.delete(&scene.names, "k")).unwrap();
        }),
        ("invalidation", |scene| {
            done(scene.client.invalidate_tags(&scene.names, &list(&["t"]))).unwrap();
        }),
        ("invalidation of a tag that only a result names", |scene| {
            done(scene.client.invalidate_tags(&scene.names, &list(&["late"]))).unwrap();
        }),
        ("clear", |scene| done(scene.client.clear(&scene.names)).unwrap()),
    ];
    for (name, change) in changes {
        for is_before_the_end in [true, false] {
            let scene = Scene::new();
            let tags = list(&["t"]);
            let tagged = |awaited| Want { tags: &tags, has_late_tags: true, awaited, ..want() };
            let fill = scene.compute("k", tagged(None));
            let held = scene.held(tagged(None));
            if is_before_the_end {
                change(&scene);
                assert!(!scene.end(fill, Ending::Nothing), "{name}");
            } else {
                assert!(scene.end(fill, Ending::Nothing));
                change(&scene);
            }
            let claim = scene.claim(tagged(Some(&held)));
            assert!(matches!(claim, Claim::Compute(_)), "{name}, {is_before_the_end}: {claim:?}");
        }
    }
}

#[test]
fn an_ending_is_gone_in_seconds_and_costs_one_trip_more_for_who_takes_its_place() {
    let scene = Scene::new();
    let take = || {
        let fill = scene.compute("k", want());
        assert!(scene.end(fill, Ending::Alone));
    };
    take();
    let left = scene.pttl(&scene.names.token("k"));
    assert!((1..=5000).contains(&left), "{left}");
    scene.client.link().trips();
    take();
    assert_eq!(scene.client.link().trips(), 3, "claim, take the place, give it back");
}

#[test]
fn a_place_is_taken_though_the_server_has_forgotten_the_scripts() {
    let scene = Scene::new();
    let fill = scene.compute("k", want());
    assert!(scene.end(fill, Ending::Alone));
    scene.server.ask(&["SCRIPT", "FLUSH"]);
    assert!(scene.compute("k", want()).is_own());
    assert!(scene.held(want()).left > LEASE / 2);
}
