"""What a person changes of a recipient by hand: checked against what the recipient is, and worked out without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from notify.audience.description import REACHED
from notify.errors import InvalidRecipient, did_you_mean
from notify.model import Channel, Recipient
from notify.store.recipient_overrides import OWN
from notify.store.text import line

Reached = tuple[Channel, str]
"""A channel, and an address on it."""

_OWNED = frozenset({"locale", "timezone", *(channel.value for channel in Channel)})
_PLAIN = ("locale", "timezone", "tags")


@dataclass(frozen=True, slots=True)
class Edit:
    """A correction. Nothing in it says nothing.

    `said` holds fields as in a description: `locale`, `timezone`, `name`, `attributes`, `tags`, and `email` or `phone`,
    which take the place of the primary address; of a list the first does, and the others stand beside it. `tag` and
    `untag` change tags one by one; `unset` empties fields and forgets attributes. `added`, `removed` and `primary` are
    addresses. `follow` names fields that imports may change again.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    tag: tuple[str, ...] = ()
    untag: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    active: bool | None = None
    added: tuple[Reached, ...] = ()
    removed: tuple[Reached, ...] = ()
    primary: tuple[Reached, ...] = ()
    follow: tuple[str, ...] = ()


def corrected(before: Recipient, said: Recipient, edit: Edit) -> Recipient:
    """The recipient after the edit; `said` is what it is after `edit.said` alone. Raises `InvalidRecipient`."""
    added = [line(f"recipient {before.key!r}: a tag", tag, InvalidRecipient) for tag in edit.tag]
    tags = [tag for tag in dict.fromkeys([*said.tags, *added]) if tag not in edit.untag]
    after = replace(said, tags=tuple(tags), active=said.active if edit.active is None else edit.active)
    for name in edit.unset:
        after = _without(after, name)
    return after


def overrides(before: Collection[str], edit: Edit, key: str, *, own: bool = False) -> set[str]:
    """The fields that imports leave from now on. Raises `InvalidRecipient` for a `follow` that was not among them.

    What the person chose for themself (`own`) stands twice, for send() leaves it, too: until somebody corrects it.
    """
    touched = set(_touched(edit))
    kept = (set(before) | touched) - {f"{OWN}{field}" for field in touched}
    if own:
        kept |= {f"{OWN}{field}" for field in touched & _OWNED}
    for name in edit.follow:
        found = _field(name)
        if found not in before:
            known = ", ".join(sorted(one for one in before if not one.startswith(OWN))) or "none"
            raise InvalidRecipient(
                f"recipient {key!r}: imports are not kept from changing {name!r}{did_you_mean(found, before)} "
                f"Fields set by hand: {known}."
            )
        kept -= {found, f"{OWN}{found}"}
    return kept


def _touched(edit: Edit) -> list[str]:
    said = {field: value for field, value in edit.said.items() if value is not None}
    fields = [name for name in _PLAIN if name in said]
    fields += [REACHED[name].value for name in REACHED if name in said]
    fields += [f"attributes.{name}" for name in said.get("attributes") or ()]
    fields += ["attributes.name"] if "name" in said else []
    fields += ["tags"] if edit.tag or edit.untag else []
    fields += ["status"] if edit.active is not None else []
    fields += [_field(name) for name in edit.unset]
    return fields + [channel.value for channel, _ in (*edit.primary, *edit.removed)]


def _field(name: str) -> str:
    """A field by the name that history and overrides know it by."""
    if name in REACHED:
        return REACHED[name].value
    known = name in (*_PLAIN, "status", *(channel.value for channel in Channel)) or name.startswith("attributes.")
    return name if known else f"attributes.{name}"


def _without(person: Recipient, name: str) -> Recipient:
    if name == "locale":
        return replace(person, locale=None)
    if name == "timezone":
        return replace(person, timezone=None)
    if name == "tags":
        return replace(person, tags=())
    attribute = name.removeprefix("attributes.")
    if attribute not in person.attributes:
        known = [*_PLAIN, *person.attributes]
        more = " Addresses are taken away by remove." if name in REACHED else ""
        raise InvalidRecipient(
            f"recipient {person.key!r}: there is no {name!r} to unset{did_you_mean(attribute, known) or '.'}{more}"
        )
    return replace(person, attributes={k: v for k, v in person.attributes.items() if k != attribute})
