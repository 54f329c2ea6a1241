"""One conversation with who brings a mail: nobody holds a line by silence, nor more memory than is kept of a mail."""

from __future__ import annotations

import asyncio

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, TLSSetupException, syntax

from notify.feedback.mailboxes.imap import FIRST_MEGABYTE

FIRST_WORDS_SECONDS = 30.0
"""How long who has not named a recipient yet may be silent; RFC 5321 §4.5.3.2.7 speaks of those who do their work."""
READ_AT_ONCE = 2**16
"""Octets. A line may be longer, for what comes back holds anything, and a bounce that is refused is lost."""


class Smtp(SMTP):
    """By SMTP, served by aiosmtpd; `event_handler` is asked, and told when it has ended."""

    line_length_limit = READ_AT_ONCE

    def connection_lost(self, error: Exception | None) -> None:
        """Called at the end, for a failed handshake twice."""
        super().connection_lost(error)
        self.event_handler.left(self)

    def _reset_timeout(self, duration: float | None = None) -> None:
        named = self.envelope is not None and self.envelope.rcpt_tos
        super()._reset_timeout(duration or (None if named else min(FIRST_WORDS_SECONDS, self._timeout_duration)))

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Begin TLS, once. Where it ends before it has begun, asyncio wakes who waits for it without an error."""
        assert self.session is not None
        if self.session.ssl is not None:
            await self.push("503 5.5.1 TLS is spoken already")
            return
        await super().smtp_STARTTLS(arg)
        if self._tls_protocol is not None and self.session.ssl is None:
            raise TLSSetupException

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Take a mail as aiosmtpd does, but no more of it into memory than is kept."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        octets, size = await self._content()
        answer = await self.event_handler.bring(self.envelope.rcpt_tos[0], octets, size)
        self.envelope = self._create_envelope()
        await self.push(answer)

    async def _content(self) -> tuple[bytes, int]:
        """The first megabyte of a mail, without the dots that its way asked for (RFC 5321 §4.5.2), and its size."""
        kept, size, begins = bytearray(), 0, True
        while True:
            try:
                line = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                line = await self._reader.readexactly(error.consumed)
            if begins and line.startswith(b"."):
                if line == b".\r\n":
                    return bytes(kept), size
                line = line[1:]
            begins = line.endswith(b"\r\n")
            size += len(line)
            kept += line[: FIRST_MEGABYTE - len(kept)]


class Lmtp(Smtp, LMTP):
    """The same with LHLO (RFC 2033)."""
