"""`notify.consent`: what recipients agreed to, on this process's App.

    notify.consent.ask("user-42", "newsletter", wording="Send me the newsletter once a month.", source="sign-up form")
    notify.consent.withdraw("user-42", "newsletter", source="phone call")

`source` says where it was said, in words of your own. Every function raises `InvalidChoice` for a category that there
is none of, and `NotFound` without such a recipient.
"""

from __future__ import annotations

from collections.abc import Mapping

from notify import app as apps
from notify.audience import consent
from notify.audience.consent import Chain
from notify.audience.faces.author import author
from notify.intake import confirmations
from notify.model import APPLICATION, Consent, Sealed


def ask(
    key: str,
    category: str,
    *,
    wording: str,
    source: str = APPLICATION,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> Consent:
    """Double opt-in: send a mail whose link says yes. Who agreed already is not asked again.

    `wording` is what the recipient agrees to, word for word, in the recipient's language. Raises `InvalidRecipient`
    without an e-mail address, `InvalidSettings` without NOTIFY_PUBLIC_URL.
    """
    app, by = apps.current(), author(actor, reason)
    return confirmations.ask_consent(app, key, category, wording=wording, source=source, by=by, tenant=tenant)


def grant(
    key: str,
    category: str,
    *,
    wording: str,
    source: str = APPLICATION,
    proof: Mapping[str, str] | None = None,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> Consent:
    """Note that a recipient agreed, in these words; `proof` holds what shows it, such as `{"ip": "192.0.2.7"}`."""
    return consent.grant(
        apps.current(),
        key,
        category,
        wording=wording,
        source=source,
        proof=proof,
        by=author(actor, reason),
        tenant=tenant,
    )


def withdraw(
    key: str,
    category: str,
    *,
    source: str = APPLICATION,
    proof: Mapping[str, str] | None = None,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> Consent | None:
    """Note that a recipient agrees no more; None when there was nothing to withdraw."""
    return consent.withdraw(
        apps.current(), key, category, source=source, proof=proof, by=author(actor, reason), tenant=tenant
    )


def state(key: str, *, tenant: str | None = None) -> dict[str, Consent]:
    """By category, the entry that holds for a recipient: its `action` is `asked`, `granted` or `withdrawn`."""
    return consent.state(apps.current(), key, tenant=tenant)


def log(key: str | None = None, *, after: int = 0, limit: int = 100, tenant: str | None = None) -> list[Sealed]:
    """The entries of a recipient, or of the whole tenant, after the one of this number, oldest first."""
    return consent.log(apps.current(), key, after=after, limit=limit, tenant=tenant)


def verify_chain(*, tenant: str | None = None) -> Chain:
    """Whether any entry of the tenant's log was changed or taken out since it was written."""
    return consent.verify_chain(apps.current(), tenant=tenant)
