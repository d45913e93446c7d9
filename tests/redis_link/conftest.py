"""Servers for the tests of the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .servers import Fake, Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """A real server that tests share: they use keys of their own and leave it running."""
    return shared_server


@pytest.fixture
def own_server(tmp_path: Any) -> Iterator[Callable[..., Server]]:
    """Starts real servers that the test may stop, freeze or protect."""
    started: list[Server] = []

    def start(*options: str, tls: bool = False) -> Server:
        started.append(Server(tmp_path, *options, tls=tls))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def fake() -> Iterator[Callable[..., Fake]]:
    """Starts fakes that serve a connection as the test says."""
    started: list[Fake] = []

    def start(serve: Callable[[socket.socket], None], greets: bool = True) -> Fake:
        started.append(Fake(serve, greets))
        return started[-1]

    yield start
    for server in started:
        server.stop()
