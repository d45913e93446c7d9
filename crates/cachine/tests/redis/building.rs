//! Options and URLs: what is refused, and what a message never holds.

use std::time::Duration;

use cachine::redis_cache::Builder;
use cachine::{AsyncRedisCache, Error, ErrorKind, RedisCache};

fn refused(builder: Builder<RedisCache>, option: &str) {
    let shown = format!("{builder:?}");
    let error = builder.build().expect_err(option);
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = format!("{error} {error:?} {shown}");
    assert!(error.to_string().contains(option) && !text.contains("s3cret"), "{text}");
}

fn builder() -> Builder<RedisCache> {
    RedisCache::builder().password("s3cret")
}

#[test]
fn an_option_that_can_not_work_is_named() {
    refused(builder().host(""), "host");
    refused(builder().port(0), "port");
    refused(builder().unix_socket(""), "unix_socket");
    refused(builder().connect_timeout(Duration::ZERO), "connect_timeout");
    refused(builder().timeout(Duration::ZERO), "timeout");
    refused(builder().max_connections(0), "max_connections");
    refused(builder().namespace("~cachine~"), "namespace");
    #[cfg(feature = "tls")]
    {
        use cachine::redis_cache::Tls;
        refused(builder().unix_socket("/run/redis.sock").tls(Tls::default()), "tls");
        let ca_certs = Some("/none/ca.pem".into());
        refused(builder().tls(Tls { ca_certs, ..Tls::default() }), "/none/ca.pem");
    }
    #[cfg(not(feature = "tls"))]
    refused(builder().url("rediss://localhost").unwrap(), "`tls`");
}

#[test]
fn a_url_sets_what_it_names_and_is_refused_without_its_password() {
    let built = |url: &str| -> Result<String, Error> {
        let builder = AsyncRedisCache::builder().timeout(Duration::from_secs(3)).url(url)?;
        Ok(format!("{:?}", builder.build()?))
    };
    let shown = built("redis://ada:s3cret@cache.example:7000/4").unwrap();
    for part in ["cache.example", "7000", "database: 4", "ada", "timeout: 3s"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("s3cret"));
    for url in ["http://:s3cret@h", "redis://:s3cret@h/x", "redis://:s3cret@h:x", "s3cret"] {
        let error = built(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn building_touches_no_network_and_needs_no_runtime() {
    let name = "no.such.host.invalid";
    let cache = RedisCache::builder().host(name).build().unwrap();
    assert!(!cache.is_closed() && format!("{cache:?}").contains(name));
    assert!(AsyncRedisCache::builder().host(name).build().is_ok());
}
