"""Tells whether a machine that delivers mail wrote a mail to say that it failed. Ordinary mail is never taken for one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from notify.feedback.bounces.mime import Part

ENOUGH = 4
ENOUGH_OF_A_STRANGER = 5  # when nothing but its words says that a machine wrote it

_MACHINE = re.compile(
    r"mailer[-_. ]?daemon|post[-_]?master|mail[-_. ]?daemon|mdaemon\b|mmdf@|mail(?:er)? ?delivery ?(?:sub)?system|mail delivery service"
    r"|delivery (?:subsystem|system|status|service|agent|failure|report|notification)|mail (?:delivery|transport|transfer|system|router|administrator|server)|mailsystem|mail-system"
    r"|system (?:administrator|attendant)|internet mail (?:service|delivery)|microsoft (?:outlook|exchange)|mail administrator|email system|mta\b.{0,10}@|smtpd?@"
    r"|lotus notes|groupwise|non[- ]?delivery|content-?filter|mailsweeper|mailmarshal|surfcontrol|interscan|scanmail|emailgateway|uucp@|listserv|majordomo|fml\b|no-?reply@.{0,60}(?:dion|auone|kddi)|^autoresponder|^\W*mailadmin|quarantine|symantec|symmantec",
    re.I,
)
_SUBJECT = re.compile(
    r"undeliver|un-deliver|not deliver|n't be deliver|non[- ]?deliver|delivery\W+(?:\w+\W+){0,3}(?:fail|error|problem|status|notif|report|delay|unsuccess)|failed delivery|deliver\w* fail"
    r"|errors? from|failed mail|fail\w* (?:notice|to deliver|mail|message)|failure (?:notice|delivery|report|of)|mail(?:er)? (?:delivery|failure|error|system error|could not)|return(?:ed|ing)? (?:mail|message|e-?mail|to sender)"
    r"|(?:mail|message|email|e-mail) (?:could not|cannot|not|was not|wasn't|undeliver|rejected|refused|error|blocked|delayed|failure|status|you sent (?:blocked|rejected))|unable to deliver|cannot deliver|can't deliver|unknown (?:user|recipient|address)|user unknown"
    r"|error (?:sending|delivering|in|notice|from|processing)|mail error|^delivery\b|could not send|couldn't|warning: (?:could|message|e?-?mail)|notice: mail|nondeliver|ndn:|failed:|smtp error|bounced?\b|permanent|mailbox|quota|rejected|virus|blocked|not (?:be )?delivered|message delayed|still being|unzustellbar|unbekannt"
    r"|zustell|nicht zugestellt|r[üu]ckl[äa]ufer|fehler|fehlgeschlagen|non remis|non d[ée]livr|[ée]chec|erreur|non distribu|impossible de|no se (?:puede|ha podido|pudo)|no entreg|devuelto|devoluci|falha|falhou|n[ãa]o (?:foi )?entreg|devolvid|mancat|non consegnat|impossibile|onbestelbaar|niet (?:be(?:zorgd|steld)|afgeleverd)|niedor|nie dostarcz|zwrot|nedoru|nepoda|k[ée]zbes[íi]t|kan ikke|ikke levere|kunde inte|olevererbar|toimitus|iletilemedi|teslim"
    r"|недостав|не доставлен|не может быть|невозможно|ошибка|возврат|退信|退回|投递失败|投遞|无法|無法|未送達|未达|送信|配信|配送|不達|エラー|反送|수신\s?실패|반송|전송\s?실패",
    re.I,
)
_TEXT = re.compile(
    r"(?:could|can|may|was|were|has|have|be|is|are) ?(?:not|n't)\W+(?:yet )?(?:be(?:en)? )?(?:\w+ )?(?:deliver|sent\b|reach|accept|process|relay|receive)"
    r"|cannot (?:be )?deliver|can't deliver|couldn't (?:be )?deliver|undeliver|un-deliver|nondeliver|non-deliver|unable to (?:deliver|send|relay|complete|forward|handle)|not (?:able to deliver|delivered)|wasn't able to deliver|did not (?:reach|deliver|go)|failed to (?:deliver|reach|send)|deliver\w* (?:has |have |attempts? |to .{0,120} )?(?:failed|failure|error|problem|unsuccessful|delayed|not possible|impossible)|deliver(?:y|ing) (?:your|this|the) (?:mail|message|e-?mail)"
    r"|permanent (?:fatal )?(?:error|failure)|fatal errors|transcript of session|delivery (?:problems|status|failure|error)|problems? delivering|error (?:while )?(?:delivering|sending|occurred|message|in delivering|has occurred)"
    r"|user unknown|unknown user|no such user|user not found|mailbox (?:is )?full|mailbox unavailable|over quota|quota exceeded|address(?:es)? (?:failed|had|rejected|was rejected)|was rejected|been rejected|was refused|returned (?:mail|to|message|because|for|unsent|as)|bounced|failure reasons|failed recipient|invalid recipient|recipient(?:s)? (?:was|were|rejected|failed|unknown|of|that|is|address)|does not exist|doesn't exist|not listed in|is unknown|unknown recipient|not recogni[sz]ed|smtp error|remote (?:host|server|mail)|host unknown|blocked by|has been blocked|was blocked|was not relayed|not relayed|still (?:being|trying)|will (?:continue|keep) trying|has not (?:yet )?been delivered|has been delayed|retry|invalid (?:user|address|mailbox)|error:|\bsaid:|<<< [45]\d\d|^[45]\d\d[ -]|[45]\.\d\.\d"
    r"|zugestellt|unzustellbar|unbekannt|n'a pas pu|pas (?:pu )?[êe]tre|non remis|[ée]chec|erreur|no se (?:puede|ha podido|pudo)|no (?:fue|pudo|ha sido)|no existe|entregad|entregue|consegnat|recapitat|niet (?:worden )?(?:be|af)|onbekend|nie (?:mo[żz]|zosta|dor)|dostarcz|doru[čc]|k[ée]zbes[íi]t|ikke levere|inte levere|iletilemedi"
    r"|достав|ошибка|не существует|不存在|无法|無法|退信|退回|失败|送信できません|送信でき|送信に失敗|配信できません|配信でき|配送でき|エラー|存在しません|届け|拒否|宛先",
    re.I | re.M,
)
_FORWARDED = re.compile(r"^\s*(?:re|aw|sv|antw|fw|fwd|wg|tr|rv|enc|i|vs|doorst|vb|odp|ynt|ответ|回复|转发|答复)\s*(?:\[\d+\])?\s*[:：]", re.I)
_REPORTED = ("x-failed-recipients", "x-ms-exchange-message-is-ndr", "x-mx-bounce", "x-bounce", "x-dsncontext", "x-ahmailid", "x-mc-system")
_LIST = ("list-unsubscribe", "list-post", "list-id", "x-mailing-list", "x-campaign", "feedback-id")
_PERSON = ("user-agent", "x-originating-ip", "x-mozilla-draft-info")
_PROGRAMS = re.compile(r"smtp32|internet mail service|m-filter|workmail|delivery|daemon|mailmarshal|groupwise", re.I)
_WORDS_LIMIT = 6000
_OPENING = 400


def is_machine(mail: Part) -> bool:
    """Whether the mail's own fields say that a mail system sent it: its sender, or an empty return path."""
    return _is_daemon(mail) or _null_path(mail) or any(name in mail.fields for name in _REPORTED)


def may_report(mail: Part) -> bool:
    """Whether the fields leave it open that this is a report. Words in the text alone make no report."""
    return is_machine(mail) or bool(_SUBJECT.search(mail.get("subject")[:500]))


def is_passed_on(mail: Part) -> bool:
    """Whether a person answered with it or forwarded it."""
    return bool(_FORWARDED.match(mail.get("subject"))) and not is_machine(mail)


def is_failure(mail: Part, text: str, returned: Mapping[str, list[str]]) -> bool:
    """Whether the mail tells of a failed delivery: words alone do not do, nor does a machine alone."""
    subject = mail.get("subject")[:500]
    in_subject = bool(_SUBJECT.search(subject))
    machine = is_machine(mail)
    if not (in_subject or machine):
        return False
    words = _TEXT.search(text[:_WORDS_LIMIT])
    if not in_subject and words is None:
        return False
    weight = 2 * in_subject + bool(returned)
    if words is not None:
        weight += 2 if words.start() < _OPENING else 1
    weight += 2 * _is_daemon(mail) + 2 * _null_path(mail)
    weight += 2 * any(name in mail.fields for name in _REPORTED)
    weight += 2 * (mail.parameters.get("report-type", "").lower() == "delivery-status")
    weight += bool(_PROGRAMS.search(mail.get("x-mailer")))
    weight += mail.get("auto-submitted").lower().startswith("auto-")
    if not machine:
        weight -= 3 * any(name in mail.fields for name in _LIST)
        weight -= any(name in mail.fields for name in _PERSON)
        weight -= 3 * bool(_MACHINE.search(" ".join(returned.get("from", ()))[:500]))  # quotes somebody's bounce
        weight -= 3 * (bool(_FORWARDED.match(subject)) or _is_quoting(text))
    return weight >= (ENOUGH if machine else ENOUGH_OF_A_STRANGER)


def _is_daemon(mail: Part) -> bool:
    return bool(_MACHINE.search(mail.get("from")[:500]))


def _null_path(mail: Part) -> bool:
    for name in ("return-path", "x-envelope-from", "envelope-from", "x-mimecast-originator"):
        for value in mail.fields.get(name, ()):
            bare = value.replace(" ", "").lower()
            if bare in ("<>", "") or bare.startswith(("<mailer-daemon", "mailer-daemon")):
                return True
    return mail.get("from").rstrip().endswith("<>")


def _is_quoting(text: str) -> bool:
    """Whether the words are mostly somebody else's, each line marked as such."""
    lines = [line for line in text[:_WORDS_LIMIT].split("\n") if line.strip()]
    quoted = sum(1 for line in lines if line.startswith(("> ", ">>", "| ")) and not line.startswith(">>> "))
    return quoted * 3 > len(lines) > 0
