"""The words of mail systems for a failed delivery, in the languages that they speak."""

from __future__ import annotations

import re

from notify.feedback.bounces.words import any_of

MACHINE = any_of(
    r"""
    mailer[-_. ]?daemon
    post[-_]?master
    mail[-_. ]?daemon
    mdaemon\b
    mmdf@
    mail(?:er)? ?delivery ?(?:sub)?system
    mail delivery service
    delivery (?:subsystem|system|status|service|agent|failure|report|notification)
    mail (?:delivery|transport|transfer|system|router|administrator|server)
    mailsystem
    mail-system
    system (?:administrator|attendant)
    internet mail (?:service|delivery)
    microsoft (?:outlook|exchange)
    mail administrator
    email system
    mta\b.{0,10}@
    smtpd?@
    lotus notes
    groupwise
    non[- ]?delivery
    content-?filter
    mailsweeper
    mailmarshal
    surfcontrol
    interscan
    scanmail
    emailgateway
    uucp@
    listserv
    majordomo
    fml\b
    no-?reply@.{0,60}(?:dion|auone|kddi)
    ^autoresponder
    ^\W*mailadmin
    quarantine
    symantec
    symmantec
    """,
)
"""Senders that are machines."""

SUBJECT = any_of(
    r"""
    undeliver
    un-deliver
    not deliver
    n't be deliver
    non[- ]?deliver
    delivery\W+(?:\w+\W+){0,3}(?:fail|error|problem|status|notif|report|delay|unsuccess)
    failed delivery
    deliver\w{0,12} fail
    errors? from
    failed mail
    fail\w* (?:notice|to deliver|mail|message)
    failure (?:notice|delivery|report|of)
    mail(?:er)? (?:delivery|failure|error|system error|could not)
    return(?:ed|ing)? (?:mail|message|e-?mail|to sender)
    (?:mail|message|email|e-mail) (?:could not|cannot|not|was not|wasn't|undeliver|refused|error|delayed)
    (?:mail|message|email|e-mail) (?:rejected|blocked|failure|status|you sent (?:blocked|rejected))
    unable to deliver
    cannot deliver
    can't deliver
    unknown (?:user|recipient|address)
    user unknown
    error (?:sending|delivering|in|notice|from|processing)
    mail error
    ^delivery\b
    could not send
    couldn't
    warning: (?:could|message|e?-?mail)
    notice: mail
    nondeliver
    ndn:
    failed:
    smtp error
    bounced?\b
    permanent
    mailbox
    quota
    rejected
    virus
    blocked
    not (?:be )?delivered
    message delayed
    still being
    unzustellbar
    unbekannt
    zustell
    nicht zugestellt
    r[üu]ckl[äa]ufer
    fehler
    fehlgeschlagen
    non remis
    non d[ée]livr
    [ée]chec
    erreur
    non distribu
    impossible de
    no se (?:puede|ha podido|pudo)
    no entreg
    devuelto
    devoluci
    falha
    falhou
    n[ãa]o (?:foi )?entreg
    devolvid
    mancat
    non consegnat
    impossibile
    onbestelbaar
    niet (?:be(?:zorgd|steld)|afgeleverd)
    niedor
    nie dostarcz
    zwrot
    nedoru
    nepoda
    k[ée]zbes[íi]t
    kan ikke
    ikke levere
    kunde inte
    olevererbar
    toimitus
    iletilemedi
    teslim
    недостав
    не доставлен
    не может быть
    невозможно
    ошибка
    возврат
    退信
    退回
    投递失败
    投遞
    无法
    無法
    未送達
    未达
    送信
    配信
    配送
    不達
    エラー
    反送
    수신\s?실패
    반송
    전송\s?실패
    """,
)
"""Subjects of reports."""

TEXT = any_of(
    r"""
    (?:could|can|may|be|is|are) ?(?:not|n't)\W+(?:yet )?(?:be )?(?:\w+ )?(?:deliver|sent\b|reach|accept)
    (?:could|can|may|be|is|are) ?(?:not|n't)\W+(?:yet )?(?:be )?(?:\w+ )?(?:process|relay|receive)
    (?:was|were|has|have) ?(?:not|n't)\W+(?:yet )?(?:been )?(?:\w+ )?(?:deliver|sent\b|reach|accept)
    (?:was|were|has|have) ?(?:not|n't)\W+(?:yet )?(?:been )?(?:\w+ )?(?:process|relay|receive)
    cannot (?:be )?deliver
    can't deliver
    couldn't (?:be )?deliver
    undeliver
    un-deliver
    nondeliver
    non-deliver
    unable to (?:deliver|send|relay|complete|forward|handle)
    not (?:able to deliver|delivered)
    wasn't able to deliver
    did not (?:reach|deliver|go)
    failed to (?:deliver|reach|send)
    deliver\w{0,12} (?:has |have |attempts? |to .{0,120} )?(?:failed|failure|error|problem|unsuccessful|delayed)
    deliver\w{0,12} (?:has |to .{0,120} )?(?:not possible|impossible)
    deliver(?:y|ing) (?:your|this|the) (?:mail|message|e-?mail)
    permanent (?:fatal )?(?:error|failure)
    fatal errors
    transcript of session
    delivery (?:problems|status|failure|error)
    problems? delivering
    error (?:while )?(?:delivering|sending|occurred|message|in delivering|has occurred)
    user unknown
    unknown user
    no such user
    user not found
    mailbox (?:is )?full
    mailbox unavailable
    over quota
    quota exceeded
    address(?:es)? (?:failed|had|rejected|was rejected)
    was rejected
    been rejected
    was refused
    returned (?:mail|to|message|because|for|unsent|as)
    bounced
    failure reasons
    failed recipient
    invalid recipient
    recipient(?:s)? (?:was|were|rejected|failed|unknown|of|that|is|address)
    does not exist
    doesn't exist
    not listed in
    is unknown
    unknown recipient
    not recogni[sz]ed
    smtp error
    remote (?:host|server|mail)
    host unknown
    blocked by
    has been blocked
    was blocked
    was not relayed
    not relayed
    still (?:being|trying)
    will (?:continue|keep) trying
    has not (?:yet )?been delivered
    has been delayed
    retry
    invalid (?:user|address|mailbox)
    error:
    \bsaid:
    <<< [45]\d\d
    ^[45]\d\d[ -]
    [45]\.\d\.\d
    zugestellt
    unzustellbar
    unbekannt
    n'a pas pu
    pas (?:pu )?[êe]tre
    non remis
    [ée]chec
    erreur
    no se (?:puede|ha podido|pudo)
    no (?:fue|pudo|ha sido)
    no existe
    entregad
    entregue
    consegnat
    recapitat
    niet (?:worden )?(?:be|af)
    onbekend
    nie (?:mo[żz]|zosta|dor)
    dostarcz
    doru[čc]
    k[ée]zbes[íi]t
    ikke levere
    inte levere
    iletilemedi
    достав
    ошибка
    не существует
    不存在
    无法
    無法
    退信
    退回
    失败
    送信できません
    送信でき
    送信に失敗
    配信できません
    配信でき
    配送でき
    エラー
    存在しません
    届け
    拒否
    宛先
    """,
    flags=re.M,
)
"""What the text of a report says."""
