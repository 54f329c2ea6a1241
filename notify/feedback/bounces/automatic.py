"""Tells what machines send that is no report of a failure: auto-replies, read receipts and challenges."""

from __future__ import annotations

import re

from notify.feedback.bounces.mime import Part
from notify.feedback.bounces.words import any_of

_MARKS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-autoreply-from",
    "x-auto-reply-from",
    "x-mail-autoreply",
    "x-away",
    "x-vacation",
    "x-facebook-notify-vacation",
)
_PRECEDENCE = ("auto_reply", "auto-reply", "autoreply")
_SUBJECT = any_of(
    r"""
    auto(?:matic|mated)?[ :_-]{0,2}(?:reply|respon[sd]e?r?|answer|antwort|notification of absence)
    auto\s*:
    out[ -]of[ -](?:the[ -])?office
    ooo\b
    out of the office
    away from (?:my|the) (?:office|desk|mail|e-mail)
    i am (?:away|out of|on (?:leave|vacation|holiday))
    on (?:vacation|holiday|leave|annual leave|parental leave|maternity leave)
    vacation(?:\s+(?:reply|message|notice|response|auto))
    away:
    away message
    absence\b
    abwesen
    automatische\s+(?:antwort|e-?mail|r[üu]ckmeldung)
    abwesenheits
    nicht im (?:b[üu]ro|haus)
    ich bin (?:im urlaub|nicht)
    urlaub
    r[ée]ponse\s+automatique
    absence du bureau
    absent\b
    message d'absence
    je suis absent
    cong[ée]s
    respuesta\s+autom[áa]tica
    fuera de (?:la )?oficina
    autorespuesta
    ausente
    ausencia
    de vacaciones
    risposta\s+automatica
    fuori (?:sede|ufficio)
    assente
    in ferie
    assenza
    resposta\s+autom[áa]tica
    fora do escrit[óo]rio
    aus[êe]ncia
    de f[ée]rias
    automatisch\s+antwoord
    afwezig
    niet aanwezig
    buiten kantoor
    automatisk\w*\s+(?:svar|besked)
    fr[åa]nvaro
    frav[æa]r
    autosvar
    ikke til stede
    ikke p[åa] kontoret
    automaattinen vastaus
    poissa
    poissaolo
    lomalla
    autoodpowied
    automatyczna odpowied
    odpowied[źz] automatyczna
    nieobecno
    poza biurem
    urlop
    automatick[áaéey]\w*\s+odpov
    mimo kancel
    nepř[íi]tomnost
    jsem mimo
    dovolen
    automatikus v[áa]lasz
    h[áa]zon k[íi]v[üu]l
    szabads[áa]g
    r[ăa]spuns automat
    automatski odgovor
    samodejni odgovor
    automatinis
    autom[āa]tisk
    otomatik (?:yan[ıi]t|cevap)
    ofis d[ıi][şs][ıi]nda
    αυτόματη απάντηση
    εκτός γραφείου
    автоматический ответ
    автоответ
    вне офиса
    в отпуске
    отсутств
    автоматична відповідь
    автоматичен отговор
    自動応答
    自動返信
    不在
    休暇
    自动(?:回复|答复)
    自動回[覆復]
    外出
    休假
    자동\s*(?:응답|회신)
    부재중
    رد تلقائي
    الرد التلقائي
    תשובה אוטומטית
    מענה אוטומטי
    ตอบกลับอัตโนมัติ
    trả lời tự động
    balasan otomatis
    jawapan automatik
    """,
    before=r"^\W*(?:(?:re|aw|sv|antw|odp|ynt|vs|fwd?)\s{0,3}:\W*)*",
)
_REJECTED = re.compile(
    r"(?:was|been) (?:automatically )?(?:rejected|refused)|could not be delivered|quota exceeded", re.I
)
_CHALLENGE = any_of(
    r"""
    protected by (?:spam ?arrest|boxbe|bluebottle|spamblocker|tmda|knowspam|0spam|mailblocks|choicemail)
    (?:confirm|verify) (?:that )?(?:you are|you sent|the delivery of your)
    (?:confirm|verify) (?:that )?your (?:message|mail|e-mail|email|identity) ?(?:was|has|is|in order|by|so)
    (?:click|follow|visit) .{0,80}(?:to (?:be|have).{0,40}(?:approved|deliver|whitelist|added)|approved sender)
    (?:sender|address) (?:verification|authori[sz]ation) (?:request|required)
    your (?:message|mail|email|e-mail) .{0,60}(?:is being|has been|will be) held .{0,60}(?:verif|confirm|approv|repl)
    your (?:message|mail|email|e-mail) .{0,60}(?:waiting for|awaiting) .{0,60}(?:verif|confirm|approv|repl)
    reply to this (?:message|mail|email|e-mail) .{0,80}(?:deliver|confirm|release)
    """,
    flags=re.S,
)
_CHALLENGERS = ("x-boxbe", "x-spamarrest", "x-tmda-conf", "x-bluebottle")
_GATED = re.compile(r"guest list|waitlist|approv|verif|confirm|allowed list|whitelist|protected by", re.I)
_GATEKEEPER = re.compile(r"@(?:[\w-]+\.)?(?:boxbe|spamarrest|bluebottle|knowspam|mailinblack|spamlion)\.", re.I)
_CHALLENGE_SUBJECT = any_of(
    r"""
    verification (?:required|requested)
    please (?:confirm|verify)
    confirm (?:your|you)
    \[?(?:sender|mail) verification
    waiting for (?:your )?(?:confirmation|approval)
    awaiting (?:your )?confirmation
    guest list
    requires? (?:your )?(?:verification|confirmation)
    spamarrest
    boxbe
    approved sender
    """,
)


def is_read_receipt(mail: Part, parts: list[Part]) -> bool:
    """Whether a mail is a message disposition notification (RFC 8098 §3)."""
    if mail.parameters.get("report-type", "").lower() == "disposition-notification":
        return True
    return any(
        part.type in ("message/disposition-notification", "message/global-disposition-notification") for part in parts
    )


def is_rejection(mail: Part, text: str) -> bool:
    """Whether a receipt says that a filter refused the mail (RFC 5429 §2.1), not that it was deleted unread."""
    return mail.get("auto-submitted").lower().startswith("auto-replied (rejected") or bool(
        _REJECTED.search(text[:2000])
    )


def is_auto_reply(mail: Part) -> bool:
    """Whether its fields say that a machine answered (RFC 3834 §5), or its subject does."""
    if any(name in mail.fields for name in _MARKS) or mail.get("x-autogenerated").lower().startswith("reply"):
        return True
    submitted = mail.get("auto-submitted").lower()
    if submitted.startswith("auto-replied"):
        return True
    if mail.get("precedence").strip().lower() in _PRECEDENCE:
        return True
    return bool(_SUBJECT.search(mail.get("subject")[:300]))


def is_challenge(mail: Part, text: str) -> bool:
    """Whether a machine asks the sender to prove itself before it hands the mail over."""
    if any(name.startswith(_CHALLENGERS) for name in mail.fields):
        return True
    if _GATEKEEPER.search(mail.get("from")) and _GATED.search(text[:3000]):
        return True
    asks = _CHALLENGE_SUBJECT.search(mail.get("subject")) and "in-reply-to" not in mail.fields
    marked = mail.get("auto-submitted").lower().startswith("auto-replied") or is_junk(mail)
    return bool((asks or marked) and _CHALLENGE.search(text[:3000]))


def may_be_challenge(mail: Part) -> bool:
    """Whether the fields leave it open that this is a challenge; what they rule out is not read."""
    return bool(
        any(name.startswith(_CHALLENGERS) for name in mail.fields)
        or _GATEKEEPER.search(mail.get("from"))
        or _CHALLENGE_SUBJECT.search(mail.get("subject"))
        or is_junk(mail)
    )


def is_junk(mail: Part) -> bool:
    """Whether the mail asks not to be answered in the way that answering programs do."""
    return mail.get("precedence").strip().lower() in ("junk", *_PRECEDENCE)
