"""Who is at the page: the recipient whose link it is, as they are now, and the language they are spoken to in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from notify.app import App
from notify.kinds import locales
from notify.model import Author, Channel, OwnAddress, Profile, Source
from notify.web.preference_centre.places import Words


@dataclass(frozen=True, slots=True)
class Visit:
    """`words` is gettext of the page, `own_words` that of what the operator wrote; `proof` tells of the call."""

    app: App
    tenant: str
    profile: Profile
    language: str
    words: Words
    own_words: Words
    proof: Mapping[str, str]

    @property
    def by(self) -> Author:
        """Who makes what is changed here, and where."""
        return Author(f"recipient:{self.profile.id}", Source.PAGE)

    @property
    def now(self) -> datetime:
        """The moment, on the visitor's own clock."""
        return self.app.clock.now().astimezone(ZoneInfo(self.zone))

    @property
    def zone(self) -> str:
        """The zone in which they live, as far as anybody said."""
        return self.profile.timezone or self.app.settings.default_timezone

    @property
    def locale(self) -> str:
        """The locale in which they are written to; a shorter one than theirs where no template knows the longer."""
        own = self.profile.locale or self.app.settings.default_locale
        return next((tag for tag in locales.chain(own) if tag in self.locales), own)

    @property
    def locales(self) -> frozenset[str]:
        """Those that mails are written in."""
        default = locales.normal(self.app.settings.default_locale)
        return self.app.kinds.shelf.locales | ({default} if default else frozenset())

    @property
    def main(self) -> OwnAddress | None:
        """Their primary e-mail address."""
        return self.profile.primary(Channel.EMAIL)
