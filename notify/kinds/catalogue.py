"""The kinds there are: each a folder with a kind.toml, loaded when first asked for and kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from zoneinfo import ZoneInfo

from notify.errors import InvalidKind, InvalidSettings, UnknownKind, did_you_mean
from notify.kinds import categories, declaration, folder, locales, toml, tracking
from notify.kinds.categories import Category
from notify.kinds.check import Problem, check_catalogues, check_categories, check_kind
from notify.kinds.declaration import Declaration
from notify.kinds.email import EmailTemplates
from notify.kinds.kind import CompiledKind
from notify.kinds.places import Fault, Place
from notify.kinds.translations import Shelf
from notify.model import Kind

LAYOUTS = "_layouts"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_VERSION_LENGTH = 12  # hex digits of SHA-256


class Catalogue:
    """Kinds of several folders, the earlier shadowing the later. May be used from many threads."""

    def __init__(self, folders: Sequence[Path], *, default_locale: str = "en", default_timezone: str = "UTC") -> None:
        self._folders = _distinct(folders)
        self._default_locale = _known_locale(default_locale)
        self._default_timezone = _known_zone(default_timezone)
        self._kinds: dict[str, CompiledKind] = {}
        self._shelf: Shelf | None = None
        self._described: Mapping[str, Category] | None = None
        self._categories: Mapping[str, Category] | None = None
        self._words: dict[str, Callable[[str], str]] = {}
        self._lock = RLock()

    def names(self) -> list[str]:
        """Every kind's name, in alphabetical order."""
        return sorted(
            {
                path.parent.name
                for parent in self._folders
                for path in parent.glob(f"*/{toml.FILE}")
                if not path.parent.name.startswith(("_", "."))
            }
        )

    def get(self, name: str) -> CompiledKind:
        """The kind, compiled. Raises UnknownKind, or InvalidKind naming file and line."""
        kind = self._kinds.get(name)
        if kind is None:
            with self._lock:
                kind = self._kinds.get(name) or self._load(self._path(name))
                self._kinds[name] = kind
        return kind

    def check(self, name: str | None = None) -> list[Problem]:
        """Everything wrong with one kind or all: each is loaded, and its sample rendered in every locale it has."""
        paths = [self._path(each) for each in (self.names() if name is None else [name])]
        try:
            shelf, described = self.shelf, self.described
        except Fault as fault:
            return [Problem("", fault.place.file, fault.place.line, fault.text)]
        problems = [*check_catalogues(shelf), *check_categories(described.values(), shelf)] if name is None else []
        for path in paths:
            problems += check_kind(path, self.get, shelf)
        return problems

    def categories(self) -> Mapping[str, Category]:
        """Every category that is described or that a sound kind belongs to, by name. Raises InvalidKind."""
        with self._lock:
            if self._categories is None:
                self._categories = categories.in_use(self.described, self._declared())
            return self._categories

    def category(self, name: str) -> Category:
        """The category of that name; one that nobody described has its name as title."""
        return self.categories().get(name) or Category(name, name)

    def words(self, locale: str) -> Callable[[str], str]:
        """What translates the title or the description of a category."""
        with self._lock:
            if locale not in self._words:
                self._words[locale] = self.shelf.functions(locale, html=False)["_"]
            return self._words[locale]

    @property
    def described(self) -> Mapping[str, Category]:
        """The categories that have an entry. Raises InvalidKind naming file and line."""
        with self._lock:
            if self._described is None:
                self._described = categories.read(self._folders)
            return self._described

    @property
    def shelf(self) -> Shelf:
        """The gettext catalogues of all folders."""
        with self._lock:
            if self._shelf is None:
                self._shelf = Shelf(self._folders, self._default_locale)
            return self._shelf

    def _path(self, name: str) -> Path:
        if name not in (known := self.names()):
            near = did_you_mean(name, known)
            raise UnknownKind(f"there is no kind '{name}'{near}\nNext: `notify kinds list` shows those that there are.")
        return self._found(name)

    def _found(self, name: str) -> Path:
        paths = (parent / name for parent in self._folders)
        return next(path for path in paths if (path / toml.FILE).is_file())

    def _declared(self) -> Iterator[tuple[str, Declaration]]:
        """What the kinds declare, by name; one that cannot be read is passed over, for it cannot be sent either."""
        for name in self.names():
            with suppress(InvalidKind):
                yield name, declaration.read(self._found(name) / toml.FILE)

    def _load(self, path: Path) -> CompiledKind:
        if _NAME.fullmatch(path.name) is None:
            raise Fault(Place(path), "is no name for a kind: use lower-case letters, digits, - and _")
        declared = declaration.read(path / toml.FILE)
        entry = self.described.get(declared.category)
        required = declared.required or (entry is not None and entry.required)
        if text := _contradiction(declared, required=required):
            raise Fault(Place(path / toml.FILE), text)
        sample, sample_recipient = folder.sample(path)
        email = EmailTemplates(
            declared,
            folder.email_files(path),
            [parent / LAYOUTS for parent in self._folders],
            self.shelf,
            default_locale=self._default_locale,
            default_timezone=self._default_timezone,
        )
        own = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")]
        facts = Kind(
            name=path.name,
            title=declared.title,
            category=declared.category,
            channels=declared.channels,
            lane=declared.lane,
            on_doubt=declared.on_doubt,
            critical=declared.critical,
            unsubscribe=declared.unsubscribe,
            read_receipts=declared.read_receipts,
            keep_replies=declared.keep_replies,
            retry=declared.retry,
            expires=declared.expires,
            recipient_rate=declared.recipient_rate,
            required=required,
            transactional=declared.transactional,
            consent=declared.consent,
            onboarding=declared.onboarding,
            quiet=declared.quiet,
            tracking=declared.tracking.tracking,
            version=_digest({*own, *email.files}, [book.path for book in self.shelf.books]),
        )
        return CompiledKind(facts, declared.data, email, sample=sample, sample_recipient=sample_recipient)


def _contradiction(declared: Declaration, *, required: bool) -> str | None:
    """What cannot be together in a kind's file, whose category may make it required; None where all can be."""
    if declared.category in categories.RESERVED:
        return f"{declared.category!r} is no name for a category"
    if required and declared.consent:
        return "nobody can be asked for consent to what is required: give up one of them"
    return tracking.complaint(declared.tracking, required=required, critical=declared.critical)


def _distinct(folders: Sequence[Path]) -> tuple[Path, ...]:
    """A folder given twice (a checkout's own is the shipped one) counts once, at its first place."""
    seen: dict[Path, Path] = {}
    for each in folders:
        seen.setdefault(each.resolve(), each)
    return tuple(seen.values())


def _digest(files: Iterable[Path], catalogues: Iterable[Path]) -> str:
    """A version that changes with any of the files, and does not depend on where they lie."""
    digest = hashlib.sha256()
    for path in (*sorted(files, key=lambda file: (file.parent.name, file.name)), *catalogues):
        content = path.read_bytes()
        digest.update(f"{path.parent.name}/{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_VERSION_LENGTH]


def _known_locale(tag: str) -> str:
    known = locales.normal(tag)
    if known is None:
        raise InvalidSettings(f"NOTIFY_DEFAULT_LOCALE: {tag!r} is not a locale; write it like nl or nl-BE")
    return known


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        raise InvalidSettings(
            f"NOTIFY_DEFAULT_TIMEZONE: {name!r} is not an IANA time zone; write it like Europe/Amsterdam"
        ) from None
