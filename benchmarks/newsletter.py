"""The mail that every benchmark sends: two parts, about 3 kB of text and 4 kB of HTML, personal in four places.

The same words serve the product, as a kind's folder, and the yardsticks, as plain Jinja templates.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

SUBJECT = "{{ recipient.name }}, here is what changed in {{ month }}"
DATA = MappingProxyType({"month": "May", "url": "https://app.example.org/changes/2026-05"})

_SENTENCES = (
    "Imports of more than a million rows now go on where they stopped when a connection drops.",
    "Each export can be scheduled, and tells you how many rows it wrote.",
    "Reports open in half the time, and the slowest of them in a fifth of it.",
    "A failed job names the row that it could not read, and the column.",
    "Invitations may be sent to a list, and every address is checked before the first goes out.",
    "The audit trail shows who changed a setting, from what value and to which.",
    "Dates are shown in your own time zone, everywhere, with the offset beside them.",
    "Keys for the interface expire after ninety days unless they are renewed.",
)
_ITEMS = [sentence for _ in range(4) for sentence in _SENTENCES]

TEXT = (
    "Hello {{ recipient.name }},\n\nthis is what changed in {{ month }}, with thanks for your questions.\n\n"
    + "".join(f"{number}. {sentence}\n\n" for number, sentence in enumerate(_ITEMS, 1))
    + "All of it, with pictures: {{ url }}?reader={{ recipient.key }}\n"
)
HTML = (
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{{ month }}</title></head>\n<body>\n'
    "<h1>Hello {{ recipient.name }}</h1>\n<p>This is what changed in {{ month }}, with thanks for your questions.</p>\n"
    "<ol>\n"
    + "".join(f'<li style="margin: 0 0 8px">{sentence}</li>\n' for sentence in _ITEMS)
    + '</ol>\n<p><a href="{{ url }}?reader={{ recipient.key }}">All of it, with pictures</a></p>\n</body>\n</html>\n'
)


def kind_of(lane: str) -> str:
    """The name of the newsletter's kind that goes out on this lane."""
    return f"newsletter-{lane}"


def write_kind(templates: Path, lane: str) -> str:
    """Write the kind's folder into `templates`, for one lane; returns its name."""
    name = kind_of(lane)
    folder = templates / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kind.toml").write_text(
        f'title = "What changed"\ncategory = "news"\nchannels = ["email"]\nlane = "{lane}"\n'
        "unsubscribe = true\n\n"
        f'[data]\nmonth = "string"\nurl = "url"\n\n[email]\nsubject = {json.dumps(SUBJECT)}\n',
        encoding="utf-8",
    )
    (folder / "email.html").write_text(HTML, encoding="utf-8")
    (folder / "email.txt").write_text(TEXT, encoding="utf-8")
    sample = {**DATA, "recipient": {"name": "Ada Lovelace"}}
    (folder / "sample.json").write_text(json.dumps(sample), encoding="utf-8")
    return name
