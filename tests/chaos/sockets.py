"""How many connections a process has to a port of this machine, as Linux sees it (proc_net_tcp(5))."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

ESTABLISHED = "01"


def connections(pid: int, port: int) -> int:
    """Open connections of this process to that port."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            sockets.add(str(link.readlink()))
    rows = (line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])
    return sum(
        row[3] == ESTABLISHED and int(row[2].rpartition(":")[2], 16) == port and f"socket:[{row[9]}]" in sockets
        for row in rows
    )
