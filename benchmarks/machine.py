"""What the figures were measured on, and what a process has used: read from /proc, None where there is none."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
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


def peak_megabytes(pid: int) -> float | None:
    """The most memory that this process has had resident, in MB (VmHWM)."""
    kilobytes = _named(Path(f"/proc/{pid}/status"), "VmHWM")
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
