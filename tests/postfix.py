"""A Postfix of the test's own, from Debian's package: it bounces what it cannot deliver."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.imap import Process, Server, public_folder
from tests.providers import free_port

PROGRAM = Path("/usr/sbin/postfix")
RUNS = PROGRAM.exists() and os.getuid() == 0  # its master wants to be root
HERE = "receiver.example.org"
"""The domain whose users it knows none of: it takes mail for them, and finds out only then."""
THERE = "sender.example.org"
"""The domain that delivers everything into Dovecot's Maildir."""

SERVICES = (
    "pickup unix n - n 60 1 pickup",
    "cleanup unix n - n - 0 cleanup",
    "qmgr unix n - n 300 1 qmgr",
    "rewrite unix - - n - - trivial-rewrite",
    "bounce unix - - n - 0 bounce",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
    "verify unix - - n - 1 verify",
    "flush unix n - n 1000? 0 flush",
    "proxymap unix - - n - - proxymap",
    "smtp unix - - n - - smtp",
    "showq unix n - n - - showq",
    "error unix - - n - - error",
    "retry unix - - n - - error",
    "local unix - n n - - local",
    "virtual unix - n n - - virtual",
    "anvil unix - - n - 1 anvil",
    "postlog unix-dgram n - n - 1 postlogd",
)


@dataclass(frozen=True)
class Postfix:
    """Where it listens, and where it says what it does."""

    port: int
    log: Path


@contextmanager
def postfix(dovecot: Server) -> Iterator[Postfix]:
    """Postfix, delivering mail for `THERE` into this Dovecot's INBOX."""
    with public_folder() as folder:
        port, owner = free_port(), pwd.getpwnam("nobody")
        for name in ("etc", "spool", "data"):
            (folder / name).mkdir()
        service = pwd.getpwnam("postfix")
        os.chown(folder / "data", service.pw_uid, service.pw_gid)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": folder / "spool",
            "data_directory": folder / "data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "maillog_file": folder / "log",
            "maillog_file_prefixes": folder,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "myhostname": f"mx.{HERE}",
            "mydestination": HERE,
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "smtp_tls_security_level": "none",
            "virtual_mailbox_domains": THERE,
            "virtual_mailbox_base": dovecot.folder / "home",
            "virtual_mailbox_maps": "static:Maildir/",
            "virtual_minimum_uid": "1",
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
        }
        lines = [f"{name} = {value}".rstrip() for name, value in settings.items()]
        (folder / "etc/main.cf").write_text("\n".join(lines) + "\n")
        listening = f"127.0.0.1:{port} inet n - n - - smtpd"
        (folder / "etc/master.cf").write_text("\n".join([listening, *SERVICES]) + "\n")
        command = [str(PROGRAM), "-c", str(folder / "etc")]
        with Process([*command, "start-fg"], folder, port, b"220 "):
            try:
                yield Postfix(port, folder / "log")
            finally:
                subprocess.run([*command, "stop"], capture_output=True, timeout=30, check=False)
