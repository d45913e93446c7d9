"""Where a Redis server is and how to reach it, from whatever the caller has: names, a URL, a client.

Everything is checked here, before anything is connected, and named as the caller named it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachine import _core
from cachine.exceptions import ConfigError

if TYPE_CHECKING:
    from cachine._types import Span

__all__ = ["server_of"]

#: What each option is when it is not given.
_DEFAULTS: dict[str, Any] = {
    "host": "localhost",
    "port": 6379,
    "db": 0,
    "username": None,
    "password": None,
    "ssl": False,
    "unix_socket_path": None,
    "ssl_ca_certs": None,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssl_verify": True,
    "timeout": 1.0,
    "connect_timeout": None,
    "max_connections": 50,
}
#: What a URL says, and so nobody else may say differently.
_PLACE = ("host", "port", "db", "username", "unix_socket_path")
#: Settings of a client that change what a connection is, and that can't be followed.
_UNKNOWN = (
    "credential_provider",
    "redis_connect_func",
    "ssl_ca_data",
    "ssl_ca_path",
    "ssl_ciphers",
    "ssl_min_version",
    "ssl_password",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
)


def server_of(url: Any, client: Any, options: dict[str, Any]) -> _core.Server:
    """The server that the options of a cache describe.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, or None.
        client: a client of redis-py whose settings are read, or None.
        options: the other options by name, None for one that was not given.

    Raises:
        ConfigError: an option has a value that can't be, or two of them contradict each other.
        TypeError: an option has the wrong type.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if url is not None and client is not None:
        raise ConfigError("url and client both say where the server is: give one of them")
    if url is not None:
        _add(given, _from_url(url), "url")
    if client is not None:
        _add(given, _from_client(client), "client")
    if url is None and client is None and "unix_socket_path" in given:
        _add(given, {"unix_socket_path": given["unix_socket_path"]}, "unix_socket_path")
    settings = {**_DEFAULTS, **given}
    _check(settings)
    tls = None
    files = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
    if settings["ssl"]:
        tls = (*(settings[name] for name in files), not settings["ssl_verify"])
    timeout = _seconds("timeout", settings["timeout"])
    connect_timeout = settings["connect_timeout"]
    if connect_timeout is None:
        connect_timeout = timeout
    return _core.Server(
        settings["host"],
        settings["port"],
        settings["unix_socket_path"],
        settings["db"],
        settings["username"],
        settings["password"],
        tls,
        _seconds("connect_timeout", connect_timeout),
        timeout,
        settings["max_connections"],
    )


def _add(given: dict[str, Any], more: dict[str, Any], source: str) -> None:
    """Add what a URL or a client says; the caller may say the rest, and a secret of his own."""
    for name, value in more.items():
        is_other = name in _PLACE and given.get(name, value) != value
        if name in ("host", "port") and "unix_socket_path" in given:
            is_other, name = True, "unix_socket_path"
        if name == "unix_socket_path" and ("host" in given or "port" in given):
            is_other, name = True, "host" if "host" in given else "port"
        if is_other:
            raise ConfigError(
                f"{name}={given[name]!r} and {source}, which says something else: give one of them"
            )
        if name == "ssl" and given.get("ssl") is False:
            raise ConfigError(f"ssl=False and {source}, which wants TLS: give one of them")
        given.setdefault(name, value)


def _from_url(url: Any) -> dict[str, Any]:
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    return _core.parse_url(url)


def _from_client(client: Any) -> dict[str, Any]:
    """The plain settings of a client of redis-py (4.0 or newer); its sockets are not used."""
    pool = getattr(client, "connection_pool", None)
    keywords = getattr(pool, "connection_kwargs", None)
    kind = getattr(pool, "connection_class", None)
    if not isinstance(keywords, dict) or not isinstance(kind, type):
        raise ConfigError(
            f"client must be a client of redis-py for one server, not {type(client).__name__}: "
            "give host and port, or a url"
        )
    name = f"{kind.__module__}.{kind.__qualname__}"
    known = kind.__module__ in ("redis.connection", "redis.asyncio.connection")
    if not known or kind.__name__ not in ("Connection", "SSLConnection", "UnixDomainSocketConnection"):
        raise ConfigError(
            f"client has connections of the class {name}, whose ways are not known here: give "
            "host and port, or a url"
        )
    for setting in _UNKNOWN:
        if keywords.get(setting):
            raise ConfigError(
                f"client has the setting {setting}, which is not supported: give the options of "
                "this cache instead"
            )
    if kind.__name__ == "SSLConnection" and keywords.get("ssl_check_hostname") is False:
        if keywords.get("ssl_cert_reqs", "required") in ("required", 2):
            raise ConfigError(
                "client checks the certificate but not the host name of it, which is not "
                "supported: give the options of this cache instead"
            )
    names = ("host", "port", "db", "username", "password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
    found = {name: keywords[name] for name in names if keywords.get(name) is not None}
    if kind.__name__ == "UnixDomainSocketConnection":
        found["unix_socket_path"] = keywords["path"]
        found.pop("host", None)
        found.pop("port", None)
    if kind.__name__ == "SSLConnection":
        found["ssl"] = True
        wanted = keywords.get("ssl_cert_reqs", "required")
        # A word, or what the module ssl calls it; None is how redis-py says none at all.
        if wanted is None or wanted == 0 or wanted == "none":
            found["ssl_verify"] = False
    if "port" in found:
        found["port"] = int(found["port"])
    return found


def _check(settings: dict[str, Any]) -> None:
    _check_text("host", settings["host"])
    _check_int("port", settings["port"], 1, 65535)
    _check_int("db", settings["db"], 0, 2**31 - 1)
    _check_int("max_connections", settings["max_connections"], 1, 2**31 - 1)
    for name in ("ssl", "ssl_verify"):
        if not isinstance(settings[name], bool):
            raise TypeError(f"{name} must be a bool, not {type(settings[name]).__name__}")
    for name in ("username", "password"):
        value = settings[name]
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
        if value is not None:
            _check_encodes(name, value)
    if settings["username"] is not None and settings["password"] is None:
        raise ConfigError("username without password: give both, or only the password")
    for name in ("unix_socket_path", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        path = settings[name]
        if path is None:
            continue
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"{name} must be a path, not {type(path).__name__}")
        if not os.fspath(path):
            raise ConfigError(f"{name} is empty: give the path of a file")
        if name.startswith("ssl_") and not settings["ssl"]:
            raise ConfigError(f"{name} without ssl=True: without it nothing is encrypted")
        if name.startswith("ssl_") and not os.path.isfile(path):
            raise ConfigError(f"{name}={os.fspath(path)!r}: there is no such file")
    if not settings["ssl"] and not settings["ssl_verify"]:
        raise ConfigError("ssl_verify=False without ssl=True: without it nothing is encrypted")
    if settings["unix_socket_path"] is not None and settings["ssl"]:
        raise ConfigError("ssl=True with unix_socket_path: TLS is for hosts only")
    if (settings["ssl_certfile"] is None) != (settings["ssl_keyfile"] is None):
        raise ConfigError("ssl_certfile and ssl_keyfile belong together: give both or neither")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value or any(letter.isspace() for letter in value) or "\0" in value:
        raise ConfigError(f"{name}={value!r}: give a name or an address")
    if value.count(":") == 1 or "[" in value:
        raise ConfigError(f"{name}={value!r}: give the port as port=, and IPv6 without brackets")
    if "/" in value or "@" in value:
        # It may hold a password.
        raise ConfigError(f"{name} looks like a URL: give it as url=")
    _check_encodes(name, value)


def _check_encodes(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Not from it: it holds the text.
        raise ConfigError(f"{name} has an unpaired surrogate: give other characters") from None


def _check_int(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ConfigError(f"{name}={value}: accepted are {least} to {most}")


def _seconds(name: str, value: Span) -> float:
    """A time that something may take, in seconds."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be seconds or a timedelta, not {type(value).__name__}")
    if not 0.001 <= value <= 86_400:
        raise ConfigError(f"{name}={value}: accepted are 0.001 to 86400 seconds")
    return float(value)
