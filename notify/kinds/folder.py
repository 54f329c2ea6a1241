"""Which of a kind folder's files is the template for a channel, a part and a locale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notify.errors import did_you_mean
from notify.kinds import locales
from notify.kinds.declaration import ANY_LOCALE
from notify.kinds.places import Fault, Place

SAMPLE = "sample.json"
_ENDINGS = ("mjml", "html", "txt")


@dataclass(frozen=True, slots=True)
class EmailFiles:
    """Template files by locale; those of `email.mjml` and `email.txt` stand under `ANY_LOCALE`."""

    markup: Mapping[str, Path]
    text: Mapping[str, Path]


def email_files(folder: Path) -> EmailFiles:
    """Sort the files `email[.<locale>].<mjml|html|txt>`; raises InvalidKind for a name that is none of these."""
    markup: dict[str, Path] = {}
    text: dict[str, Path] = {}
    for path in sorted(folder.glob("email.*")):
        _, *middle, ending = path.name.split(".")
        if ending not in _ENDINGS or len(middle) > 1:
            known = [f"email.{word}" for word in _ENDINGS]
            near = did_you_mean(path.name, known) or "; write email.mjml, email.html, email.txt or email.<locale>.mjml"
            raise Fault(Place(path), f"is not the name of a template{near}")
        locale = locales.normal(middle[0]) if middle else ANY_LOCALE
        if locale is None:
            raise Fault(Place(path), f"'{middle[0]}' is not a locale")
        part = text if ending == "txt" else markup
        if locale in part:
            raise Fault(Place(path), f"{part[locale].name} is there, too: keep one of them")
        part[locale] = path
    if ANY_LOCALE not in markup:
        raise Fault(Place(folder), "has neither email.mjml nor email.html")
    return EmailFiles(markup, text)


def sample(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The example data of sample.json, and the recipient's attributes under its key `recipient`. Both may be empty."""
    path = folder / SAMPLE
    if not path.is_file():
        return {}, {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise Fault(Place(path, error.lineno), error.msg) from None
    except UnicodeDecodeError as error:
        raise Fault(Place(path), f"is not UTF-8: {error}") from None
    recipient = data.pop("recipient", {}) if isinstance(data, dict) else None
    if not isinstance(recipient, dict):
        raise Fault(Place(path, 1), "must hold an object of data, with at most a `recipient` object beside it")
    return data, recipient
