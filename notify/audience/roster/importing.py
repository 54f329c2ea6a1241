"""Rosters: a CSV of people becomes recipients; a row that cannot be used is named by line and reason, the rest goes in.

An import never brings anyone back: it lifts no suppression, activates nobody, and leaves what was set by hand. An empty
cell says nothing and changes nothing, nor does one that says what is so already.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from notify import interpreter
from notify.app import App
from notify.audience.roster import columns
from notify.audience.roster.account import Account, Altered, Imported, rejects
from notify.audience.roster.cells import listed, meant
from notify.audience.roster.cells import tags as tags_of
from notify.audience.roster.file import Form, examine
from notify.audience.roster.repeats import FirstLines
from notify.audience.roster.rows import Roster, Row, Unusable
from notify.errors import AddressTaken, InvalidRecipient
from notify.model import Author, Recipient, Source
from notify.settings import Environment
from notify.store import audit, rosters, suppressions, tenants
from notify.store.recipients import Change
from notify.store.text import line as line_of_text
from notify.telemetry import emit

AT_ONCE = 5000  # rows
MANY = 10_000  # new recipients, after which the database should look at its tables anew
HELD = 10_000
"""So many rows that ask for another's address wait until everyone of the file has moved; more are refused at once."""

Slice = list[Row | Unusable]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a file is to be read: what is None is found out. `mapping` holds the fields that a column means by its name.

    `tags` are added to everyone of the file, but to whom they were set by hand.
    """

    encoding: str | None = None
    delimiter: str | None = None
    mapping: Mapping[str, Sequence[str]] | None = None
    tags: Sequence[str] = ()


def import_roster(
    app: App,
    path: Path,
    *,
    actor: str,
    tenant: str | None = None,
    manner: Manner | None = None,
    dry_run: bool = False,
    keep_rejects: Path | None = None,
    force: bool = False,
    tell: Callable[[Altered], None] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Import the file at `path`. The first row of a key counts, later ones are reported.

    Slices of 5,000 rows are a transaction each, once the whole file has been read through: so nobody waits for the
    import as a whole. One that is stopped goes on when it is started again, for what is in changes nothing. `tell`
    hears of each row that changes something; `progress`, how many of how many
    octets are read. Rows that are left out are kept at `keep_rejects`, which is a new file unless `force`. Raises
    `OperatorError` when the file cannot be read as CSV, `InvalidRecipient` for an unknown tenant or what is no tag.
    """
    manner = manner or Manner()
    added = tuple(line_of_text("a tag", tag, InvalidRecipient) for tag in manner.tags)
    mapping = manner.mapping or {}
    form = examine(
        path,
        encoding=manner.encoding,
        delimiter=manner.delimiter,
        fits=lambda header: columns.has_key(header, mapping),
    )
    allow_test = app.settings.env is Environment.DEVELOPMENT
    if not dry_run:
        _read_through(path, form, mapping)
    result = Imported(encoding=form.encoding, delimiter=form.delimiter, word=form.word)
    with (
        closing(Roster(path, form, mapping, allow_test=allow_test, region=app.settings.phone_region)) as roster,
        rejects(keep_rejects, roster.header, force=force) as keep,
        FirstLines() as first_lines,
        rosters.transactions(app.store, in_one=dry_run) as transaction,
    ):
        account = Account(result, keep, tell)
        by = Author(actor, Source.IMPORT)
        total = path.stat().st_size
        with ThreadPoolExecutor(1, "roster") as reader, interpreter.uncollected(), interpreter.prompt():
            slices = _Ahead(roster, reader)
            work = _Import(app, transaction, tenant, by, added, account, first_lines, slices.read_on)
            for part in slices:
                work.bring(part)
                progress(min(roster.position(), total), total)
            work.finish()
        account.in_order()
        with transaction() as connection:
            if dry_run:
                connection.rollback()
                return result
            if result.inserted >= MANY:
                rosters.settle(connection)
            summary = _summary(path, result, added)
            tenant_id = tenants.tenant_id(connection, tenant)
            at = app.clock.now()
            audit.write(
                connection, tenant_id, actor=actor, action="recipients.import", subject=path.name, detail=summary, at=at
            )
    emit("recipients.imported", **summary)
    return result


def _read_through(path: Path, form: Form, mapping: Mapping[str, Sequence[str]]) -> None:
    """Raise the `OperatorError` of a file that cannot be read to its end, before anything is written."""
    with closing(Roster(path, form, mapping)) as roster:
        for _ in roster.records():
            pass


@dataclass(slots=True)
class _Import:
    """One import under way: slices go in one after the other, and rows that wait for an address at the end."""

    app: App
    transaction: rosters.Transaction
    tenant: str | None
    by: Author
    added: tuple[str, ...]
    account: Account
    first_lines: FirstLines
    meanwhile: Callable[[], None]
    waiting: list[tuple[Row, AddressTaken]] = field(default_factory=list)

    def bring(self, part: Sequence[Row | Unusable]) -> None:
        """Bring in a slice, without what stood before; who asks for another's address waits."""
        self.account.result.rows += len(part)
        for row in part:
            if isinstance(row, Unusable):
                self.account.refuse(row.line, row.reason, row.cells)
        rows = [row for row in part if isinstance(row, Row)]
        repeated = self.first_lines.repeated([(row.change.key, row.line) for row in rows])
        for row in rows:
            if row.line in repeated:
                reason = f"key {row.change.key!r} stands already in line {repeated[row.line]}"
                self.account.repeat(row.line, reason, row.cells)
        left = self._write([row for row in rows if row.line not in repeated] if repeated else rows)
        room = HELD - len(self.waiting)
        self.waiting += left[:room]
        self._refuse(left[room:])

    def finish(self) -> None:
        """Try those who waited again, as long as it helps: by now all others have moved. Who is left is refused."""
        while waiting := self.waiting:
            self.waiting = self._write([row for row, _ in waiting])
            if len(self.waiting) == len(waiting):
                break
        self._refuse(self.waiting)

    def _write(self, rows: Sequence[Row]) -> list[tuple[Row, AddressTaken]]:
        """Write a slice; returns those whose address another has."""
        account = self.account
        brought, suppressed = rosters.again_after_deadlock(lambda: self._store(rows))
        written = [row for row in rows if row.change.key not in brought.taken] if brought.taken else rows
        account.result.suppressed += suppressed
        account.result.inserted += len(brought.inserted)
        account.result.updated += len(brought.updated)
        account.result.unchanged += len(written) - len(brought.inserted) - len(brought.updated)
        if account.tell is not None:
            self._tell(account.tell, written, brought)
        if not brought.taken:
            return []
        return [(row, brought.taken[row.change.key]) for row in rows if row.change.key in brought.taken]

    def _store(self, rows: Sequence[Row]) -> tuple[rosters.Brought, int]:
        """Write a slice in its transaction; how many addresses were suppressed by it."""
        now = self.app.clock.now()
        with self.transaction() as connection:
            tenant_id = tenants.tenant_id(connection, self.tenant)
            tenants.lock(connection, tenant_id)  # rosters go one after the other: in slices, they could deadlock
            changes = [row.change for row in rows]
            brought = rosters.bring_in(
                connection,
                tenant_id,
                changes,
                fitting=self._fitting,
                meanwhile=self.meanwhile,
                now=now,
                by=self.by,
            )
            forbidden = [row.suppression for row in rows if row.suppression and row.change.key not in brought.taken]
            return brought, suppressions.add(connection, tenant_id, forbidden, now)

    def _tell(self, tell: Callable[[Altered], None], written: Sequence[Row], brought: rosters.Brought) -> None:
        for row in written:
            key = row.change.key
            if key in brought.inserted:
                tell(Altered(row.line, key, True, _said(self._fitting(row.change, None))))
            elif key in brought.updated:
                tell(Altered(row.line, key, False, brought.updated[key]))

    def _refuse(self, left: Sequence[tuple[Row, AddressTaken]]) -> None:
        lines = self.first_lines.of([error.holder for _, error in left]) if left else {}
        for row, error in left:
            where = f", line {lines[error.holder]}" if error.holder in lines else ""
            reason = f"{error.address} is the {error.channel} address of recipient {error.holder!r} already{where}"
            self.account.refuse(row.line, reason, row.cells)

    def _fitting(self, change: Change, before: Recipient | None) -> Change:
        """What a row means for whom it is about: values keep their types, and the import's own tags are added."""
        if before is None:
            missing = [tag for tag in self.added if tag not in (change.tags or ())]
            return replace(change, tags=(*(change.tags or ()), *missing)) if missing else change
        had = before.tags
        tags = had if change.tags is None or change.tags == tags_of(listed(had)) else change.tags
        if missing := [tag for tag in self.added if tag not in tags]:
            tags = (*tags, *missing)
        said = {name: meant(text, before.attributes.get(name)) for name, text in change.attributes.items()}
        return replace(change, tags=tags, attributes=said)


def _said(change: Change) -> dict[str, tuple[None, object]]:
    """A new recipient as the difference from nobody."""
    fields: dict[str, object] = {"locale": change.locale, "timezone": change.timezone}
    fields |= {channel.value: value for channel, value in change.addresses.items()}
    fields |= {f"attributes.{name}": value for name, value in change.attributes.items()}
    fields |= {"tags": list(change.tags or ()) or None, "status": "inactive" if change.active is False else None}
    return {name: (None, value) for name, value in fields.items() if value is not None}


class _Ahead:
    """The slices of a roster, the next of which is read and checked while the database writes the one before."""

    def __init__(self, roster: Roster, reader: Executor) -> None:
        self._rows = roster.rows()
        self._reader = reader
        self._next: Future[Slice] | None = None

    def read_on(self) -> None:
        """Begin to read the next slice, unless that is under way."""
        if self._next is None:
            self._next = self._reader.submit(self._read)

    def _read(self) -> Slice:
        gc.collect(1)  # here, where it keeps nobody waiting
        return list(islice(self._rows, AT_ONCE))

    def __iter__(self) -> Iterator[Slice]:
        while True:
            self.read_on()
            assert self._next is not None, "it was begun just now"
            part, self._next = self._next.result(), None
            if not part:
                return
            yield part


def _summary(path: Path, result: Imported, tags: Sequence[str]) -> dict[str, object]:
    return {
        "file": path.name,
        "encoding": result.encoding,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "suppressed": result.suppressed,
        "refused": result.refused_rows,
        "duplicates": result.duplicate_rows,
        "tags": list(tags),
    }
