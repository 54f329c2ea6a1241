"""`notify.recipients`: the people who are notified, kept from Python, on this process's App.

What is changed here is set by hand: a row of history says who changed it and why, and imports leave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from notify import app as apps
from notify.audience import recipients as people
from notify.audience.correction import Edit
from notify.audience.faces.author import author
from notify.errors import InvalidRecipient, did_you_mean
from notify.model import APPLICATION, Changed, Channel, Profile, Status
from notify.store.profiles import Wanted


def get(key: str, *, tenant: str | None = None) -> Profile:
    """Everything known of one recipient. Raises `NotFound`."""
    return people.get(apps.current(), key, tenant=tenant)


def list(
    *,
    tags: Iterable[str] = (),
    status: str | None = None,
    channel: str | None = None,
    address: str | None = None,
    search: str | None = None,
    after: str | None = None,
    tenant: str | None = None,
) -> Iterator[Profile]:
    """Recipients in the order of their keys, read a page at a time; those of whom all that is given holds.

    `tags`: they have each; `status`: `active` or `inactive`; `channel`: they can be reached there; `address`: it is one
    of theirs, whatever its case; `search`: a piece of key, name or address; `after`: the key to begin behind.
    """
    wanted = Wanted(
        tags=(tags,) if isinstance(tags, str) else tuple(tags),
        status=None if status is None else _one_of("status", Status, status),
        channel=None if channel is None else _one_of("channel", Channel, channel),
        address=address,
        search=search,
    )
    return people.each(apps.current(), wanted, after=after, tenant=tenant)


def add(
    to: Mapping[str, Any], *, reason: str | None = None, actor: str = APPLICATION, tenant: str | None = None
) -> Profile:
    """Add a recipient, described as for `send()`: `{"key": "user-43", "email": "grace@example.org", "locale": "nl"}`.

    `email` and `phone` may be lists, of which the first is written to. Raises `InvalidRecipient` for a key that is
    there already, `InvalidAddress`, and `AddressTaken` for an address that another recipient has.
    """
    return people.add(apps.current(), to, by=author(actor, reason), tenant=tenant)


def set(
    key: str,
    *,
    tag: Iterable[str] = (),
    untag: Iterable[str] = (),
    unset: Iterable[str] = (),
    follow_imports: Iterable[str] = (),
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
    **fields: Any,
) -> Profile:
    """Change fields of a recipient: `notify.recipients.set("user-43", locale="nl", attributes={"floor": 3})`.

    `fields` are those of a description: `locale`, `timezone`, `name`, `attributes` (merged by name), `tags`; `email`
    and `phone`, which take the place of the primary address. `tag` and `untag` change tags one by one, `unset` empties
    fields and forgets attributes. Imports leave these fields from now on, until `follow_imports` names them. Raises
    `NotFound`, `InvalidRecipient`, `InvalidAddress`, `AddressTaken`.
    """
    wanted = Edit(
        said=fields,
        tag=_several("tag", tag),
        untag=_several("untag", untag),
        unset=_several("unset", unset),
        follow=_several("follow_imports", follow_imports),
    )
    return people.edit(apps.current(), key, wanted, by=author(actor, reason), tenant=tenant)


def deactivate(key: str, *, reason: str, actor: str = APPLICATION, tenant: str | None = None) -> Profile:
    """Write to them no more, but what is required. No import brings them back."""
    return people.edit(apps.current(), key, Edit(active=False), by=author(actor, reason), tenant=tenant)


def activate(key: str, *, reason: str, actor: str = APPLICATION, tenant: str | None = None) -> Profile:
    """Write to them again. What they left, and addresses that bounced, stay left."""
    return people.edit(apps.current(), key, Edit(active=True), by=author(actor, reason), tenant=tenant)


def add_address(
    key: str,
    channel: str,
    address: str,
    *,
    primary: bool = False,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> Profile:
    """Give them one more address; the first of a channel is the primary one, which is written to."""
    reached = ((_one_of("channel", Channel, channel), address),)
    wanted = Edit(added=reached, primary=reached if primary else ())
    return people.edit(apps.current(), key, wanted, by=author(actor, reason), tenant=tenant)


def remove_address(
    key: str,
    channel: str,
    address: str,
    *,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> Profile:
    """Take an address from them. The primary one goes last: `InvalidRecipient` while there are others."""
    wanted = Edit(removed=((_one_of("channel", Channel, channel), address),))
    return people.edit(apps.current(), key, wanted, by=author(actor, reason), tenant=tenant)


def make_primary(
    key: str,
    channel: str,
    address: str,
    *,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> Profile:
    """Write to this address of theirs from now on; it stays verified if it was."""
    wanted = Edit(primary=((_one_of("channel", Channel, channel), address),))
    return people.edit(apps.current(), key, wanted, by=author(actor, reason), tenant=tenant)


def history(key: str, *, limit: int = 100, tenant: str | None = None) -> tuple[Changed, ...]:
    """What was changed of a recipient, newest first: when, by whom, by which way, why, and each field before and after.

    Raises `NotFound`.
    """
    return tuple(people.history(apps.current(), key, limit=limit, tenant=tenant))


def _several(what: str, given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidRecipient(f"{what} is a list, such as ['vip'], not {given!r:.60}")
    return tuple(given)


def _one_of(what: str, words: Any, given: str) -> Any:
    try:
        return words(given)
    except ValueError:
        known = [word.value for word in words]
        raise InvalidRecipient(
            f"unknown {what} {given!r:.60}{did_you_mean(given, known) or '.'} It is one of {', '.join(known)}."
        ) from None
