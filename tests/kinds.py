"""Small kinds for tests."""

from __future__ import annotations

import json
from pathlib import Path

HTML = "<html lang='en'><head><title>x</title></head><body>{{ word }} {{ recipient.name or 'you' }}</body></html>"


def make_kind(
    folder: Path,
    name: str = "hello",
    *,
    toml: str = "transactional = true",
    data: str = 'word = { type = "string", default = "hello" }',
    subject: str = "{{ word }}",
    html: str = HTML,
    text: str | None = None,
    sample: dict[str, object] | None = None,
) -> Path:
    """Write a kind's folder; returns it. `toml` adds top-level lines; without, it needs no footer."""
    kind = folder / name
    kind.mkdir(parents=True, exist_ok=True)
    (kind / "kind.toml").write_text(
        f'title = "{name}"\ncategory = "test"\nchannels = ["email"]\n{toml}\n[data]\n{data}\n[email]\n'
        f"subject = {json.dumps(subject)}\n",
        encoding="utf-8",
    )
    (kind / "email.html").write_text(html, encoding="utf-8")
    if text is not None:
        (kind / "email.txt").write_text(text, encoding="utf-8")
    (kind / "sample.json").write_text(json.dumps(sample or {}), encoding="utf-8")
    return kind
