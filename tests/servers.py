"""Real servers for tests, started on a free port of the loopback interface and ended with them.

A server keeps nothing but what is in its own temporary folder. It does not outlive the process that
started it, even when that is killed: it is on a leash, a pipe that a shell beside it reads.
``CACHINE_REDIS_SERVER`` and ``CACHINE_OPENSSL`` name the programs; otherwise the search path does.

Nothing of the package under test and no client is used here: a test must not ask it about itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

#: What the servers of Rust and of Python share.
SHARED = Path(__file__).parents[1] / "crates" / "cachine-testkit" / "src"

#: No wait here is longer, in seconds: what has not happened by then never will.
PATIENCE = 20.0

#: Between taking the number of a port and using it another program may come.
PORTS = 20


class Refused(Exception):
    """The server answered with an error, which is the text."""


class Raw:
    """A connection that sends commands and reads replies, and knows nothing else."""

    def __init__(self, address):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.socket = socket.socket(family)
        try:
            self.socket.settimeout(PATIENCE)
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()
        self.socket.close()

    def command(self, *words):
        """The reply: None, an int, bytes, or a list of them; an error is raised."""
        self.socket.sendall(packed(words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise Refused(rest.decode(errors="replace"))
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"*":
            return [self.reply() for _ in range(number)]
        return self.file.read(number + 2)[:-2]


def packed(words):
    """A command as it goes over the wire."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Server:
    """A server of Redis or Valkey.

    Args:
        options: words of the configuration, such as ``("--maxmemory", "2mb")``.
        password: of the default user.
        users: more users, each with its rules: ``"app on >secret ~app:* +get"``.
        tls: whether the port speaks TLS, with certificates made for it.
    """

    host = "127.0.0.1"

    def __init__(self, *options, password=None, users=(), tls=False):
        self.options = options
        self.password = password
        self.users = users
        self.tls = tls
        self.port = 0
        self.process = None
        self.folder = Path(tempfile.mkdtemp(prefix="cachine-"))
        try:
            if tls:
                make_certificates(self.folder)
            self._start_somewhere()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    @property
    def url(self):
        """Where it is: ``redis://127.0.0.1:40123/0``, with the password if there is one."""
        password = f":{self.password}@" if self.password else ""
        return f"{'rediss' if self.tls else 'redis'}://{password}{self.host}:{self.port}/0"

    @property
    def socket_path(self):
        """The socket in the file system beside the port. It is never encrypted."""
        return str(self.folder / "redis.sock")

    @property
    def ca_certs(self):
        """The certificate of the authority that signed the server's, as a path."""
        return str(self.folder / "authority.crt")

    @property
    def client_pair(self):
        """The paths of a certificate and a key for a client."""
        return str(self.folder / "client.crt"), str(self.folder / "client.key")

    @property
    def log(self):
        """What the server has logged since it was started last."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def raw(self):
        """A new connection, of a user who may do everything."""
        raw = Raw(self.socket_path)
        if self.password is not None:
            raw.command("AUTH", self.password)
        return raw

    def command(self, *words):
        """Send a command over a connection of its own; see :meth:`Raw.command`."""
        with self.raw() as raw:
            return raw.command(*words)

    def age(self, seconds, database=0):
        """Let time pass for the data of a database, without waiting."""
        with self.raw() as raw:
            raw.command("SELECT", database)
            raw.command("EVAL", (SHARED / "age.lua").read_text(), 0, round(seconds * 1000))

    def keys(self, pattern="*"):
        """The names of the keys that live."""
        return sorted(key.decode() for key in self.command("KEYS", pattern))

    def info(self, name):
        """A number or a word of ``INFO``."""
        for line in self.command("INFO", "everything").decode().splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value) if value.isdigit() else value
        raise KeyError(name)

    def clients(self):
        """How many other connections there are."""
        return len(self.command("CLIENT", "LIST").splitlines()) - 1

    def disconnect(self):
        """Close the connections of everybody else."""
        with self.raw() as raw:
            raw.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def freeze(self):
        """Stop it where it is: it keeps its port and its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal only asks for it; it stands still when this returns.
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"the server ended:\n{self.log}"

    def thaw(self):
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """End it without a chance to say anything, frozen or not."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            try:
                process.stdin.write(b"\n")
                process.stdin.close()
            except OSError:
                pass  # Nobody holds the other end of the leash: somebody killed that too.
            process.wait()

    def restart(self):
        """End it if it runs, and start it anew on its port, empty."""
        self.kill()
        assert self._start(), f"another program took port {self.port} meanwhile"

    def close(self):
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_somewhere(self):
        for _ in range(PORTS):
            self.port = free_port()
            if self._start():
                return
        raise AssertionError(f"{PORTS} ports in a row were taken by other programs")

    def _start(self):
        """Start it; whether the port was free."""
        log = self.folder / "log"
        with open(log, "wb") as output:
            command = [server_program(), *self._words()]
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", (SHARED / "leash.sh").read_text(), str(self.folder), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C is for the tests, and the leash must outlive them.
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            has_ended = self.process.poll() is not None
            said = self.log
            if has_ended:
                self.kill()
                assert "Address already in use" in said, f"the server did not start:\n{said}"
                return False
            if "eady to accept connections" in said:
                # Its own word: on the port somebody else may be listening.
                return True
            time.sleep(0.003)
        raise AssertionError(f"the server was not ready in time:\n{self.log}")

    def _words(self):
        words = ["--save", "", "--appendonly", "no", "--enable-debug-command", "local"]
        words += ["--bind", self.host, "--dir", self.folder, "--unixsocket", self.socket_path]
        words += ["--port", 0 if self.tls else self.port]
        if self.tls:
            words += ["--tls-port", self.port, "--tls-auth-clients", "optional"]
            words += ["--tls-ca-cert-file", self.ca_certs]
            words += ["--tls-cert-file", self.folder / "server.crt"]
            words += ["--tls-key-file", self.folder / "server.key"]
        if self.password is not None:
            words += ["--requirepass", self.password]
        for user in self.users:
            words += ["--user", *user.split()]
        return [str(word) for word in [*words, *self.options]]


def free_port():
    """A port that nobody listens on at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def server_program():
    """The path of the server, or an error with the line to type."""
    return _program("CACHINE_REDIS_SERVER", "redis-server", "valkey-server")


def _program(variable, *names):
    found = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    assert found, (
        f"there is no {' or '.join(names)} on PATH: "
        "`cargo x servers` gets one and says how to name it"
    )
    return found


def make_certificates(folder):
    """An authority, and certificates that it signed for a server and a client, as PEM files."""
    openssl = _program("CACHINE_OPENSSL", "openssl")
    shutil.copy(SHARED / "openssl.cnf", folder)

    def run(*words):
        done = subprocess.run(
            [openssl, *map(str, words)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"openssl failed:\n{done.stdout}"

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    new = ("req", "-new", "-config", "openssl.cnf", *curve)
    own = ("-x509", "-days", 2, "-extensions", "authority")
    run(*new, *own, "-keyout", "authority.key", "-out", "authority.crt")
    for name in ("server", "client"):
        run(*new, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        sign = ("x509", "-req", "-days", 2, "-extfile", "openssl.cnf", "-extensions", name)
        by = ("-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial")
        run(*sign, *by, "-in", f"{name}.csr", "-out", f"{name}.crt")
