"""The rules by which a refusal becomes a verdict: what servers say, and the codes they say it with.

`REASONS` is asked from the top down, because what is said about a mail (a virus, its size) or its sender stands beside
words about the recipient more often than the other way round. Each phrase is in lower case, with single spaces; "…"
stands for at most sixty characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from notify.feedback.bounces.report import Verdict

HARD, SOFT, BLOCK, CONTENT = Verdict.HARD, Verdict.SOFT, Verdict.BLOCK, Verdict.CONTENT


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause, the verdict it means, and the phrases that give it away.

    A `vague` one gives way to a precise status code; the others are only weighed against a temporary one.
    """

    name: str
    verdict: Verdict
    phrases: tuple[str, ...]
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """What an enhanced status code means. A `vague` one gives way to any text, a `sure` one to none."""

    verdict: Verdict
    vague: bool = False
    sure: bool = False


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


REASONS: tuple[Reason, ...] = (
    Reason("virus", CONTENT, _lines("""
        virus infected
        infected with
        contains a virus
        contained a virus
        a virus was
        virus found
        virus detected
        virus-infected
        is infected
        carrying a virus
        contains malware
        malware detected
        zip file violates
        attachment is not allowed
        attachment type
        file type … not allowed
        banned attachment
        prohibited attachment
        blocked because its content presents a potential
        because its content presents a potential security
        bad extension
        executable content
        attachment … blocked
    """)),
    Reason("full", SOFT, _lines("""
        mailbox full
        mailbox is full
        mailbox … full
        mail box full
        mail box is full
        maildir over quota
        maildir delivery failed: … quota
        over quota
        overquota
        has too many messages
        zuviele mails
        overdrawn
        over-quota
        over its quota
        over his quota
        over disk quota
        quota exceed
        quotaexceed
        exceeded … quota
        exceeds … quota
        exceeds the quota
        exceeding … quota
        exceeded storage
        exceeds storage
        exceeded its storage
        storage allocation
        storage limit
        storage space
        quota violation
        disk quota
        out of quota
        out of storage
        insufficient quota
        quota_exceeded
        mailbox size limit
        mailbox quota
        mailbox exceeds
        mailbox has exceeded
        mailbox limit
        message store … quota
        mailfolder is full
        mailfolder is over
        mailfile … full
        mail folder is full
        folder is full
        inbox is full
        inbox … full
        account is full
        user is over
        is over quota
        exceeded the local limit
        recipient's mailbox exceeded
        recipient storage full
        recipient reached disk quota
        too many messages in
        too many mails
        not enough storage
        not enough space
        not enough disk
        no space left on device
        no enough space
        insufficient disk
        insufficient space
        message would exceed
        would cause … over quota
        would exceed … quota
        full mailbox
        boîte pleine
        boite pleine
        boîte aux lettres est pleine
        postfach ist voll
        mailbox ist voll
        postfach … voll
        buzón … lleno
        buzon … lleno
        casella piena
        casella … piena
        caixa postal cheia
        caixa … cheia
        postvak … vol
        skrzynka … pełna
        przekroczon
        переполнен
        ящик … заполнен
        メールボックスが一杯
        メールボックスがいっぱい
        容量 … 超
        満杯
        邮箱已满
        邮箱空间
        信箱已滿
        空间不足
        errors-overquota
        reached … storage limit
        lots of mails
        box is full
        boxfull
        exceeds the limit of mailbox
        mailbox for … is full
        quota … exceeded
        incoming mailbox … full
    """)),
    Reason("too_big", CONTENT, _lines("""
        message too large
        message too big
        message size exceeds
        message exceeds
        exceeds size limit
        exceeds the size limit
        exceeds the maximum message size
        exceeded the maximum message size
        exceeds maximum message size
        exceeds fixed maximum
        exceeds administrative limit
        exceeded maximum message size
        exceeds maximum inbound message size
        message file too big
        message file too large
        message length exceeds
        message header size exceeds
        headers too large
        header too large
        maximum message size exceeded
        size exceeds maximum
        message is larger than
        larger than the current system limit
        larger than the maximum
        mail size limit exceeded
        mail too big
        max message size
        mail size … exceed
        message size … exceed
        mail is too large
        maximum size of message
        greater than administrative limit
        exceeds recipient's size limit
        data size exceeds
        message is too large
        too large for this recipient
        message size … larger than
        this message is larger than
        toobig
        mesg too big
        exceed the maximum size
        too big, exceeds limit
        mail data over size
        data too large
        size of the message
        超过 … 大小
        邮件大小超过
        メールサイズ
        サイズが大き
    """)),
    Reason("malformed", CONTENT, _lines("""
        rfc 5322 compliant
        rfc 2822 compliant
        rfc5322 compliant
        not rfc compliant
        not rfc 5322
        not rfc 2822
        duplicate header
        multiple … addresses in from
        multiple subject
        media error
        bare lf
        bare linefeed
        missing … header
        invalid header
        content type … not supported
        conversion … not
    """)),
    Reason("authentication", BLOCK, _lines("""
        dmarc
        dkim fail
        dkim check
        dkim valid
        dkim verif
        dkim signature … not
        dkim signature … invalid
        dkim=
        spf and dkim
        dkim and spf
        dkim or spf
        spf or dkim
        authentication checks failed
        spf [
        (spf or
        unauthenticated email
        unauthenticated mail
        unauthenticated message
        spf check
        spf fail
        spf validation
        fails spf
        failed spf
        spf record
        spf: fail
        (spf)
        spf=fail
        sender policy framework
        sender id (pra)
        is not allowed to send mail from
        not permitted to send mail from
        sender domain authentication
        is not authenticated
    """)),
    Reason("reverse_name", BLOCK, _lines("""
        reverse dns
        ptr record
        no ptr
        ptr for
        rdns
        reverse hostname
        reverse lookup
        reverse address
        cannot resolve your address
        cannot find your reverse
        client host name … not
        your hostname … reverse
        fcrdns
        unresolvable relay host name
        client ip address … does not
        invalid helo
        invalid ip for sending
        helo command rejected
        hostname should be
        dns ptr
        domain name verification on your ip
    """)),
    Reason("moved", HARD, _lines("""
        has moved
        no longer at this
        has been replaced by
        mailbox has moved
        user has moved
        please update your address
        address has changed
        recipient has moved
        addressee has moved
    """)),
    Reason("sender", BLOCK, _lines("""
        sender address rejected
        sender rejected
        domain of sender address
        domain of sender
        sender domain must exist
        sender's domain
        sender domain
        sender … does not exist
        sender … not exist
        invalid sender
        bad sender
        sender verify failed
        sender verification
        could not verify sender
        unverified sender
        mail from … rejected
        messages from … weren't sent
        due to recipient preferences
        recipient preferences
        google groups
        google グループ
        groups.google.com
        may not have permission to post
        not accepting mail from
        is not accepting messages from
        does not accept … from
        only accepts … from
        not authorized to send
        not permitted to send
        allowed to send
    """)),
    Reason("dns_trouble", SOFT, _lines("""
        host not found, try again
        try again … name
        unexpected name server reply
        malformed or unexpected
        temporary … lookup fail
        temporary … resolution
        temporarily unable to resolve
    """)),
    Reason("no_host", HARD, _lines("""
        host unknown
        unknown host
        indicated no smtp service
        host does not accept mail
        domain does not accept mail
        doesn't receive email according
        doesn't accept mail
        lookup failure: host … not found
        domain is not reachable
        couldn't find a mail exchanger
        couldn't find any mail exchanger
        host not found
        host or domain name not found
        domain not found
        domain does not exist
        domain doesn't exist
        domain doesn´t exist
        domain is not exist
        no such domain
        unknown domain
        domain unknown
        unrouteable mail domain
        unrouteable domain
        unroutable domain
        unroutable mail domain
        unrouteable address
        unroutable address
        no mail exchanger
        null mx
        nullmx
        all relevant mx records point to non-existent
        mx points to non-existent
        points to non-existent
        non-existent hosts
        non-existent domain
        nonexistent domain
        nxdomain
        couldn't find any host named
        couldn't find any host by that name
        cannot find any host
        could not find any host
        no such host
        host name lookup fail
        name or service not known
        dns error: domain name not found
        domain name not found
        address lookup … not found
        illegal host/domain
        mail server … not found
        bad destination system address
        bad destination host
        invalid host
        unable to find the domain
        domain name … could not be found
        cannot resolve … domain
        does not accept mail (nullmx)
        dns … no such
        domain not exist
        does not have a valid mx
        recipient domain must exist
        domain must exist
        the domain … not exist
        errors-nohost
        host/domain name not found
        não existe o domínio
        domain … is not found
        smtp error: no such host
        no mx … found
        unknown mail domain
        hostname could not be resolved
        no mail server found
        no a or mx
        has no mx
        responsible for handling
    """)),
    Reason("no_user", HARD, _lines("""
        user unknown
        unknown user
        unknown local user
        unknown local-part
        unknown local part
        unknown address
        unknown recipient
        unknown mailbox
        unknown account
        unknown email
        unknown e-mail
        unknown virtual
        recipient unknown
        recipient is unknown
        mailbox unknown
        address unknown
        addressee unknown
        account unknown
        local user unknown
        utilisateur inconnu
        user … unknown
        no such user
        nosuchuser
        no such mailbox
        no such recipient
        no such address
        no such person
        no such account
        no such email
        no such local
        no such customer
        no such a user
        no mailbox
        no mail box
        nonexistent user
        non-existent user
        nonexistent recipient
        bad_recipient
        not unique. several
        no mailbox here
        no account by
        no account with
        no user with
        no user exists
        no recipient found
        no thank you rejected: account
        no longer … valid
        no longer exist
        no longer available
        no longer in use
        no longer active
        no longer employed
        no longer works
        no longer with
        not a valid user
        not a valid recipient
        not a valid mailbox
        not a valid address
        not a known user
        not a known
        not an active address
        not an active mailbox
        not a local user
        not a local
        doesn't exist
        doesn´t exist
        does not exist
        doesnt exist
        don't exist
        dosn't exist
        dosen't exist
        doesn't have a
        doesn't have an account
        does not have a … account
        does not have an account
        do not have a
        not found by smtp address lookup
        recipientnotfound
        recipnotfound
        recipient not found
        recipient … not found
        user not found
        user … not found
        user-not-found
        mailbox not found
        mailbox … not found
        address not found
        address … not found
        account not found
        address wasn't found
        address wasn’t found
        address couldn't be found
        address couldn’t be found
        mailbox couldn't be found
        email address could not be found
        e-mail address could not be found
        name not found
        could not be found
        isn't found
        username could not be found
        not listed in
        not listed … domino directory
        not listed in public
        not our customer
        not known at
        not known here
        is not known
        isn't known
        invalid user
        invalid recipient
        invalid mailbox
        invalid address
        invalid account
        invalid to address
        invalid rcpt
        invalid username
        invalid email
        invalid local
        invalid final delivery user
        invalid address or
        invalid/inactive
        incorrect address
        incorrect or
        bad destination mailbox address
        bad recipient
        bad user
        bad e-mail
        unable to find user
        unable to find recipient
        unable to find
        can't find … account
        cannot find user
        cannot find recipient
        can't find user
        recipient name is not recognized
        isn't recognized
        unrecognized recipient
        unrecognised
        user is unknown
        undefined user
        undeliverable address
        undeliverable: there is no
        there is no one at this address
        there is no user
        there's no one
        there is no such
        is no such
        mailbox unavailable
        mailbox is unavailable
        mailbox … unavailable or
        mailbox is inactive
        mailbox inactive
        mailbox … not available
        mailbox invalid
        mailbox does
        mailbox not allowed here
        invalid … mailbox
        recipient no longer
        recipient invalid
        recipient does
        recipient not recognized
        recipient not ok
        recipient unavailable
        recipient email address is possibly incorrect
        recipient address rejected: unknown
        recipient address rejected: access denied
        recipient address rejected: user
        recipient address rejected: undeliverable
        recipient address rejected: invalid
        recipient address rejected: no such
        recipient address rejected: address
        recipient address is not
        recipient rejected: invalid
        addressee not found
        address does not
        address is not valid
        address invalid
        address is invalid
        address no longer
        address is no longer
        address error
        addresses failed: unknown
        account is closed
        account closed
        account … deleted
        account has been deleted
        account deactivated
        account has been closed
        account is not valid
        account does
        account is inactive
        user invalid
        user does
        user doesn't
        user is not
        user isn't
        user has no
        user is inactive
        user inactive
        user deleted
        user not
        user terminated
        user was deleted
        deactivated mailbox
        deactivated user
        matched no
        unknown or
        unknown adress
        destination unknown
        badrcptto
        vdeliver: invalid
        sorry, no mailbox here
        this address does not receive
        this address no longer accepts
        this address is not
        not have an email account
        nobody by that name
        nobody at
        not our user
        not my user
        errors-nouser
        chkusr
        chkuser
        rcpt … unknown
        rcpt not found
        rcpt (…) dosn't exist
        resolver.adr
        550 no user
        550 user
        unbekannter empf
        empfänger unbekannt
        empfaenger unbekannt
        benutzer unbekannt
        benutzer … nicht
        unbekannt
        existiert nicht
        nicht gefunden
        konto … nicht
        adresse inconnue
        destinataire inconnu
        inconnu
        n'existe pas
        introuvable
        no existe
        no encontrad
        usuario desconocido
        desconocid
        não existe
        nao existe
        desconhecid
        inexistente
        utente sconosciuto
        sconosciut
        non esiste
        inesistente
        onbekend
        bestaat niet
        nieznany
        nie istnieje
        nie ma takiego
        neexistuje
        neznám
        nem létezik
        ismeretlen
        finns inte
        finnes ikke
        findes ikke
        ukendt
        okänd
        ei löydy
        bilinmeyen
        bulunamad
        не существует
        не найден
        неизвест
        нет такого
        такой … не
        宛先不明
        リストにありません
        please check if address is correct
        address not found in
        multiple matches found
        宛先 … 存在しません
        存在しない
        存在しません
        ユーザ … 見つかり
        见不到
        用户不存在
        不存在
        找不到
        無此
        无此
        未找到
        사용자 … 없
        존재하지
    """)),
    Reason("disabled", HARD, _lines("""
        mailbox disabled
        mailbox has been disabled
        mailbox is disabled
        mailbox currently disabled
        account has been disabled
        account disabled
        account is disabled
        account … disabled
        user disabled
        user is disabled
        user has been disabled
        user account is disabled
        email account … disabled
        recipient disabled
        address has been disabled
        address is disabled
        disabled or discontinued
        tried to reach is disabled
        disabled recipient
        account has been deactivated
        account is not active
        user not active
        deactivated
        desactivad
        désactivé
        has been terminated
        has left the company
        has left our
        discontinued
        deaktiviert
        abgeschaltet
    """)),
    Reason("suspended", SOFT, _lines("""
        suspended
        temporarily locked
        account is locked
        user is locked
        user locked
        is locked
        account … locked
        user currently
        mailbox is frozen
        mailbox temporarily disabled
        temporarily unavailable … mailbox
        unavailable to take delivery
        inactive
        blocked on account of
        заблокирован
    """), vague=True),
    Reason("relay", BLOCK, _lines("""
        relay access denied
        relaying denied
        relay denied
        relay not permitted
        relay not allowed
        relay operation rejected
        relaying not
        relaying is prohibited
        relay prohibited
        relaying mail
        relay is prohibited
        unable to relay
        not a relay
        not an open relay
        we do not relay
        not relay
        no relay
        domain isn't in my list of allowed rcpthosts
        isn't in my list of allowed rcpthosts
        isn't in our list of allowed
        not in my list of allowed
        not permitted to relay
        do not permit relay
        must authenticate
        authentication required
        authentication is required
        this system is not configured to relay
        insecure mail relay
        relaying to
        mail relay denied
        that domain isn't
        relay the mail
        not a gateway
    """)),
    Reason("reputation", BLOCK, _lines("""
        spamhaus
        spamcop
        sorbs
        barracudanetworks
        barracuda reputation
        blacklist
        black list
        blocklist
        block list
        blocked using
        blocked by
        blocked for
        has been blocked
        is blocked
        was blocked
        been block
        been denied
        listed in
        listed at
        listed by
        is listed
        rbl
        dnsbl
        poor reputation
        low reputation
        bad reputation
        reputation
        dynamic ip
        dynamic address
        dynamic/residential
        generic … host
        ip address … block
        ip … rejected
        your ip
        client host … blocked
        client host rejected
        client … rejected
        bad host
        banned
        requires confirmation
        rejected for policy
        access denied
        access from
        blocked
        denylist
        unsolicited … from your ip
        mail from your
        mail server … rejected
        go away
        cloudmark
        csi.cloudmark
        trustedsource
        senderscore
        s3140
        s3150
        we do not accept mail from
        not accepting mail from
        not accept mail from
        not authorized to
        does not accept … from
    """)),
    Reason("spam", BLOCK, _lines("""
        spam
        unsolicited
        bulk mail
        bulk email
        ube
        junk mail
        junk email
        considered unsolicited
        content rejected
        content … rejected
        content filter
        content … blocked
        message … rejected due to content
        message rejected due to
        rejected by content
        rejected due to
        phishing
        surbl
        uribl
        uce
        looks like
        high-probability
        mailshield
        message filtered
        message refused
        message blocked
        message content
        spamassassin
        dspam
        бо́льшая
        спам
        垃圾
    """)),
    Reason("rate", BLOCK, _lines("""
        too many connection
        too many … connection
        too many message
        too many recipients
        too many session
        too many concurrent
        too many mails
        too many email
        too many emails
        too many smtp
        rate limit
        ratelimit
        rate-limit
        rate that
        throttl
        sending limit
        limit exceeded
        limits exceed
        exceeded … limit
        maximum number of
        maximum sessions
        maximum connections
        max number of
        user complaints
        unusual rate
        temporarily deferred due to user complaints
        try again later … volume
        too fast
        too much mail
    """)),
    Reason("greylisted", SOFT, _lines("""
        greylist
        graylist
        grey-list
        grey list
        gray-list
        please try again later
        try again later
        try later
        temporarily rejected
        temporary failure
        temporary local problem
        temporarily deferred
        temporary error
        temporarily unable
        temporarily unavailable
    """)),
    Reason("unreachable", SOFT, _lines("""
        timed out
        failing for a long time
        without success, and has stopped trying
        did not accept our requests to connect
        could not deliver for the last
        service currently unavailable
        currently unavailable
        time out
        timeout
        time-out
        connection refused
        connection reset
        connection lost
        connection failed
        connection dropped
        connection was dropped
        connection died
        connection closed
        connection attempts failed
        lost connection
        closed connection
        no route to host
        network unreachable
        network is unreachable
        host unreachable
        host is unreachable
        host is down
        host down
        unreachable
        retry time
        retry timeout
        retry limit
        retry time not reached
        retries
        message expired
        expired
        has been in the queue
        in the queue too long
        queue too long
        been on the queue
        in the mail queue
        delivery attempts
        delivery time expired
        delivery expired
        delivery timed
        could not be delivered for
        could not be delivered within
        undeliverable for
        unable to connect
        unable to deliver … days
        could not connect
        couldn't connect
        cannot connect
        can't connect
        wasn't able to establish
        unable to establish
        failed to connect
        no answer from host
        not responding
        does not respond
        no response
        didn't respond
        did not respond
        host not reachable
        server … unavailable
        server busy
        server is busy
        system busy
        too busy
        dns lookup failure
        temporary … lookup
        nameserver
        name server
        dns server
        name resolution
        mail loop
        loops back to myself
        mail loops
        loop detected
        too many hops
        hop count exceeded
        hop count
        maximum hop
        routing loop
        mail forwarding loop
        too many received
        config error: mail loops
        i/o error
        protocol error
        out of memory
        disk full
        system error
        system failure
        internal error
        server error
        command died
        command failed
        command not found
        unable to open
        cannot open
        can't open
        permission denied
        can't create
        can't write
        cannot create
        deferred
        service unavailable
        service not available
        local configuration error
        configuration error
        mailer … error
        pipe to
        exit status
        delivery temporarily suspended
        tls … required
        starttls
        tls session
        ssl
        couldn't find dns
        resource
        мы … попыт
        タイムアウト
        連接
        连接
        超时
    """), vague=True),
    Reason("form", CONTENT, _lines("""
        syntax error
        not rfc compliant
        not rfc
        rfc 2822
        rfc2822
        rfc 5322
        rfc822
        bare lf
        bare linefeed
        stray newline
        malformed
        8-bit
        8bit
        improper use
        invalid header
        bad header
        missing header
        message format
        duplicate header
        illegal … header
        mime
        charset
        html tag
        header … non-ascii
        subject contains
        contains invalid header
        date header
        unacceptable header
        unacceptable
        character set
        message headers
        line too long
        lines too long
        encoding
        non-compliant
        content-type
        bad sequence of commands
        command not
    """), vague=True),
    Reason("policy", BLOCK, _lines("""
        policy
        policies
        rejected by
        refused
        rejected
        not allowed
        not permitted
        not accepted
        not authorized
        not authorised
        prohibited
        forbidden
        denied
        sender address
        sender … invalid
        sender … rejected
        sender verif
        verify sender
        sender domain
        domain of sender
        mail from
        security
        restricted
        administratively
        administrator
        unauthorized
        unauthorised
        permission
        rejeté
        refusé
        abgelehnt
        rechazad
        recusad
        rifiutat
        отклонен
        拒否
        拒绝
    """), vague=True),
)  # fmt: skip
"""What servers and services say, from the field and from their manuals; asked in this order."""

CODES: dict[str, Code] = {
    # RFC 3463 §3.2, addressing
    "1.0": Code(HARD, vague=True),
    "1.1": Code(HARD),
    "1.2": Code(HARD),
    "1.3": Code(HARD),
    "1.4": Code(HARD),
    "1.5": Code(SOFT, vague=True),
    "1.6": Code(HARD),
    "1.7": Code(BLOCK, sure=True),  # the sender's address, whatever the words make of it
    "1.8": Code(BLOCK, sure=True),
    "1.9": Code(SOFT, vague=True),  # RFC 3886 §3.3.5: the message was relayed to a non-compliant mailer
    "1.10": Code(HARD),  # RFC 7505 §4.2, and Exchange Online: no such recipient
    # RFC 3463 §3.3, mailbox
    "2.0": Code(SOFT, vague=True),
    "2.1": Code(HARD),
    "2.2": Code(SOFT),
    "2.3": Code(CONTENT),
    "2.4": Code(SOFT, vague=True),
    # RFC 3463 §3.4, the receiving system
    "3.0": Code(SOFT, vague=True),
    "3.1": Code(SOFT),
    "3.2": Code(SOFT, vague=True),
    "3.3": Code(SOFT, vague=True),
    "3.4": Code(CONTENT),
    "3.5": Code(SOFT, vague=True),
    # RFC 3463 §3.5, network and routing
    "4.0": Code(SOFT, vague=True),
    "4.1": Code(SOFT, vague=True),
    "4.2": Code(SOFT, vague=True),
    "4.3": Code(SOFT, vague=True),
    "4.4": Code(HARD, vague=True),  # unable to route: Postfix says it of a host that is not found
    "4.5": Code(SOFT, vague=True),
    "4.6": Code(SOFT, vague=True),
    "4.7": Code(SOFT),
    # RFC 3463 §3.6, the protocol
    "5.0": Code(SOFT, vague=True),
    "5.1": Code(SOFT, vague=True),
    "5.2": Code(SOFT, vague=True),
    "5.3": Code(BLOCK, vague=True),
    "5.4": Code(SOFT, vague=True),
    "5.5": Code(SOFT, vague=True),
    # RFC 3463 §3.7, the content
    "6.0": Code(CONTENT, vague=True),
    "6.1": Code(CONTENT),
    "6.2": Code(CONTENT),
    "6.3": Code(CONTENT),
    "6.4": Code(CONTENT),
    "6.5": Code(CONTENT),
    "6.6": Code(CONTENT),
    "6.7": Code(CONTENT),  # RFC 6531 §3.7.4.2
    # RFC 3463 §3.8, security and policy
    "7.0": Code(BLOCK, vague=True),
    "7.1": Code(BLOCK, vague=True),
    "7.9": Code(BLOCK),  # RFC 4954 §6
    "7.17": Code(HARD),  # RFC 7293 §4: the mailbox changed hands
    "7.18": Code(HARD),
    "7.26": Code(BLOCK),  # RFC 7372 §3.3
}
"""What the last two numbers of an enhanced status code mean; the first tells for good (5) or for now (4)."""

POLICY = Code(BLOCK)  # the rest of X.7.*
