"""Searches for octets that break what reads from outside, by coverage (atheris), for as long as it is told.

What is found is written to tests/fuzz/findings, where the suite tries it ever after. Exit code 1 when anything was
found. atheris is in no extra that everybody installs: `pip install -e '.[fuzz]'`, in an environment of its own if
need be.

\b
Example:
  python -m tests.fuzz --minutes 10
  python -m tests.fuzz --target bounce --minutes 1
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from tests.fuzz.targets import SEEDS, TARGETS

FINDINGS = Path(__file__).parent / "findings"
SHARE = {"bounce": 4}  # of the time; the others have one part each
LONGEST_INPUT = 64 * 1024  # octets


@click.command(help=__doc__)
@click.option("--minutes", default=10.0, show_default=True, help="For all targets together.")
@click.option("--target", "chosen", multiple=True, type=click.Choice(sorted(TARGETS)), help="Only this one.")
def main(minutes: float, chosen: tuple[str, ...]) -> None:
    """The command."""
    if importlib.util.find_spec("atheris") is None:
        raise click.ClickException("atheris is not installed; pip install -e '.[fuzz]'")
    names = chosen or tuple(TARGETS)
    parts = sum(SHARE.get(name, 1) for name in names)
    failed = [name for name in names if not _search(name, max(1, round(minutes * 60 * SHARE.get(name, 1) / parts)))]
    click.echo(f"{len(names)} targets, {', '.join(failed) or 'nothing'} found.")
    sys.exit(1 if failed else 0)


def _search(name: str, seconds: int) -> bool:
    """Whether the target stood for so long."""
    place = FINDINGS / name
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS.get(name, ())):
            Path(folder, str(number)).write_bytes(seed)
        place.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-timeout=5", "-print_final_stats=1"]
        command = [sys.executable, "-m", "tests.fuzz.search", name, folder, f"-artifact_prefix={place}/", *options]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    tried = [line for line in ended.stderr.splitlines() if line.startswith(("stat::number_of_executed", "Done "))]
    click.echo(f"{name}: {' '.join(tried) or ended.stderr[-2000:]}")
    if not any(place.iterdir()):
        place.rmdir()
    return ended.returncode == 0


if __name__ == "__main__":
    main()
