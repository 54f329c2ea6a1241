"""What the figures were measured on, and what a process has used: read from /proc, None where there is none."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """The machine, and how busy it was with other things in the last minute (`load`, in processes)."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def family(pids: Iterable[int]) -> list[int]:
    """These processes and all their descendants: a pool of processes works in its children."""
    found = list(pids)
    for pid in found:  # grows while it is read
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """CPU time, user and system, that these processes have used so far, their ended children included."""
    try:
        times = [
            # after the command's name, which may hold anything: utime, stime, cutime, cstime (proc(5))
            sum(int(ticks) for ticks in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15])
            for pid in pids
        ]
    except OSError:
        return None
    return sum(times) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float | None:
    """The memory that this process has resident, in MB (VmRSS)."""
    return _megabytes(pid, "VmRSS")


def peak_megabytes(pid: int) -> float | None:
    """The most memory that this process has had resident, in MB (VmHWM)."""
    return _megabytes(pid, "VmHWM")


def connected(pid: int, port: int) -> bool:
    """Whether this process has a connection open to that TCP port of 127.0.0.1; yes where nobody can tell."""
    try:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        theirs = f"0100007F:{port:04X}"  # remote address and port; the inode stands in the tenth field (proc(5))
        sockets = {f"socket:[{fields[9]}]" for fields in lines if fields[2] == theirs}
        return not sockets.isdisjoint(_open_files(pid))
    except OSError:
        return True


def _open_files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            yield str(link.readlink())


def _megabytes(pid: int, name: str) -> float | None:
    kilobytes = _named(Path(f"/proc/{pid}/status"), name)
    return None if kilobytes is None else round(int(kilobytes.split()[0]) / 1024, 1)


def _cpu() -> str | None:
    return _named(Path("/proc/cpuinfo"), "model name")


def _named(path: Path, wanted: str) -> str | None:
    """The first value of that name in a file of `name: value` lines."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in fields if name.strip() == wanted), None)
