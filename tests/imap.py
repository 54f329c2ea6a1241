"""Real IMAP servers for tests, each a process of its own: pymap, and Dovecot where it is installed."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tests.certificates import write_certificates
from tests.processes import until
from tests.providers import free_port

USER, PASSWORD = "bounces@example.org", "pass/wörd%?"
DOVECOT = shutil.which("dovecot") or ("/usr/sbin/dovecot" if Path("/usr/sbin/dovecot").exists() else None)

PYMAP = """
from pymap.main import main
from pysasl.hashing import BuiltinHash

BuiltinHash.__init__.__kwdefaults__["rounds"] = 1
main()
"""
"""pymap without the half million rounds that make it slow to guess its password: a test logs in several times."""


@dataclass
class Server:
    """An IMAP server on the loopback interface: one user, any number of folders."""

    folder: Path
    plain: int
    implicit: int

    @property
    def ca(self) -> Path:
        """The authority that signed its certificate."""
        return self.folder / "ca.pem"

    def url(self, folder: str, *, security: str = "none", password: str = PASSWORD, **options: object) -> str:
        """What NOTIFY_MAILBOXES holds to read this folder."""
        scheme, port = ("imaps", self.implicit) if security == "ssl" else ("imap", self.plain)
        given = {"ca": self.ca, **({"tls": security} if scheme == "imap" else {}), **options}
        query = "&".join(f"{name}={quote(str(value))}" for name, value in given.items())
        return f"{scheme}://{quote(USER)}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(folder)}?{query}"

    @contextmanager
    def client(self) -> Iterator[IMAPClient]:
        """A person's own mail program, logged in."""
        with IMAPClient("127.0.0.1", self.plain, ssl=False, timeout=30) as client:
            client.plain_login(USER, PASSWORD)
            yield client

    def make_folder(self) -> str:
        """A fresh folder."""
        name = f"Returned {uuid.uuid4().hex[:12]}"
        with self.client() as client:
            client.create_folder(name)
        return name

    def make_anew(self, folder: str) -> None:
        """The folder of that name is another one from now on: its mails are numbered anew."""
        with self.client() as client:
            before = after = client.folder_status(folder, "UIDVALIDITY")[b"UIDVALIDITY"]
            deadline = time.monotonic() + 60
            while after == before:  # some number folders by the second
                assert time.monotonic() < deadline
                client.delete_folder(folder)
                client.create_folder(folder)
                after = client.folder_status(folder, "UIDVALIDITY")[b"UIDVALIDITY"]

    def put(self, folder: str, *mails: bytes) -> None:
        """Deliver these."""
        with self.client() as client:
            for mail in mails:
                client.append(folder, mail, msg_time=datetime(2026, 3, 2, 9, tzinfo=UTC))

    def flags(self, folder: str) -> dict[int, set[bytes]]:
        """The flags of each mail, without what only says that it is new."""
        with self.client() as client:
            client.select_folder(folder, readonly=True)
            found = client.get_flags(client.search())
        return {uid: {one for one in flags if one != rb"\Recent"} for uid, flags in found.items()}

    def count(self, folder: str) -> int:
        """How many mails lie there."""
        with self.client() as client:
            with suppress(IMAPClientError):
                return int(client.select_folder(folder, readonly=True)[b"EXISTS"])
            return 0


class Process:
    """A server process; it ends with the block."""

    def __init__(self, arguments: Sequence[str], folder: Path, port: int, greeting: bytes = b"* OK") -> None:
        self._arguments, self._folder, self._port, self._greeting = arguments, folder, port, greeting

    def __enter__(self) -> Self:
        self.output = self._folder / "output"
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        until(self._serves, 30, f"{self._arguments[0]} serves; see {self.output}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _serves(self) -> bool:
        assert self._process.poll() is None, self.output.read_text()
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=2) as line:
                return line.recv(len(self._greeting)) == self._greeting
        except OSError:
            return False


@contextmanager
def pymap() -> Iterator[Server]:
    """pymap with everything in memory. It has no implicit TLS: a front of the test's own adds it."""
    with public_folder() as folder:
        server = Server(folder, plain=free_port(), implicit=0)
        program = (sys.executable, "-c", PYMAP)
        served = ("--host", "127.0.0.1", "--port", str(server.plain))
        certified = ("--cert", str(folder / "server.pem"), "--key", str(folder / "server.pem"))
        user = ("--demo-user", USER, "--demo-password", PASSWORD)
        with Process([*program, *served, *certified, "dict", *user], folder, server.plain), _tls_front(server):
            yield server


@contextmanager
def dovecot() -> Iterator[Server]:
    """Dovecot with a Maildir in `folder`/home."""
    assert DOVECOT is not None
    with public_folder() as folder:
        server = Server(folder, plain=free_port(), implicit=free_port())
        root = os.getuid() == 0
        owner = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.getuid())
        home = folder / "home"
        home.mkdir()
        os.chown(home, owner.pw_uid, owner.pw_gid)
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        config = folder / "dovecot.conf"
        config.write_text(_dovecot_settings(server, owner, as_root=root))
        with Process([DOVECOT, "-F", "-c", str(config)], folder, server.plain):
            yield server


def _dovecot_settings(server: Server, owner: pwd.struct_passwd, *, as_root: bool) -> str:
    folder = server.folder
    unprivileged = f"""
default_internal_user = {owner.pw_name}
default_internal_group = {owner.pw_gid}
default_login_user = {owner.pw_name}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
"""
    return f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login
mail_max_userip_connections = 100
mail_location = maildir:{folder}/home/Maildir
mailbox_list_index = no
mailbox_idle_check_interval = 1 secs
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/home
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {server.plain}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {server.implicit}
    ssl = yes
  }}
}}
{"" if as_root else unprivileged}"""


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that other users may enter, which those of pytest may not."""
    folder = Path(tempfile.mkdtemp(prefix="notify-imap-"))
    folder.chmod(0o755)
    write_certificates(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _tls_front(server: Server) -> Iterator[None]:
    """Listens with TLS, and hands on to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.folder / "server.pem")
    loop = asyncio.new_event_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    server.implicit = listening.getsockname()[1]

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back, forth = await asyncio.open_connection("127.0.0.1", server.plain)
            await asyncio.gather(_pipe(reader, forth), _pipe(back, writer))

    front = loop.run_until_complete(asyncio.start_server(hand_on, sock=listening, ssl=context))
    running = threading.Thread(target=loop.run_forever, daemon=True)
    running.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(front.close)
        loop.call_soon_threadsafe(loop.stop)
        running.join(10)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while octets := await source.read(65536):
            target.write(octets)
            await target.drain()
    target.close()
