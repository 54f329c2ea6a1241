"""What is said on one line and what the answers mean, without I/O: no reply is ever taken for another message's.

MAIL, RCPT and DATA go out together, and those of the next message behind the final dot of the one before, where the
server offers PIPELINING (RFC 2920); else command by command. Where the answer to a command cannot be known the
dialogue is `over`, and the line must be closed.
"""

from __future__ import annotations

from collections import deque

from notify.channels.email import smtp_wire as wire
from notify.channels.email.smtp_replies import COMPLETED, GO_AHEAD, Refused, Step, failure, receipt
from notify.channels.provider import Envelope, Receipt
from notify.errors import DeliveryError, Uncertain

ENVELOPE = frozenset({Step.MAIL, Step.RCPT, Step.DATA})
ELSEWHERE = range(200, 400)  # codes of success: at a step they do not belong to, they answer another


class Letter:
    """An envelope on its way to a line. `astray` says that a line was lost under it before its body was begun."""

    __slots__ = ("astray", "envelope")

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.astray = False


class Dialogue:
    """At most one letter is `begun`: its body is being written, or unanswered; the one behind it is `ahead`.

    The caller writes `unwritten`, tells by `wrote()` how much of it is gone, and hands what it reads to `hear()`.
    What became known stands in `outcomes`, for the caller to take out.
    """

    def __init__(self, offers: wire.Offers) -> None:
        self.offers = offers
        self.begun: Letter | None = None
        self.ahead: Letter | None = None
        self.open = False  # the server waits for the body of the letter ahead
        self.over = False
        self.stray: tuple[Letter, DeliveryError] | None = None  # was not tried when the line was lost, and why it was
        self.outcomes: list[tuple[Envelope, Receipt | DeliveryError]] = []
        self.unwritten: bytes | memoryview = b""
        self._replies = wire.Replies()
        self._unsaid: deque[tuple[Step, bytes]] = deque()
        self._awaited: deque[Step] = deque()
        self._body_left = 0  # octets of the begun body that are not written yet
        self._body_touched = False
        self._verdict: DeliveryError | None = None  # the first refusal of the letter ahead
        self._addressed = False  # its RCPT was accepted

    @property
    def waiting(self) -> bool:
        """Whether replies are due; until they are there, nothing more can be said."""
        return bool(self._awaited) and not self.over

    @property
    def idle(self) -> bool:
        """Whether there is nothing to say and nothing to hear: a new letter can be proposed, or the line kept."""
        return not (self._awaited or self._unsaid or self.ahead or self.over)

    def hand_over(self) -> None:
        """Say the body of the letter ahead, for which the server waits."""
        assert self.open
        assert self.ahead is not None
        body = wire.body(self.ahead.envelope.content)
        self.begun, self.ahead, self.open = self.ahead, None, False
        self._body_left, self._body_touched = len(body), False
        self._unsaid.append((Step.BODY, body))

    def propose(self, letter: Letter, mail: bytes, rcpt: bytes) -> None:
        """Say this letter's commands behind whatever is to be said before."""
        assert self.ahead is None
        self.ahead, self._verdict, self._addressed = letter, None, False
        self._unsaid.extend(((Step.MAIL, mail), (Step.RCPT, rcpt), (Step.DATA, wire.DATA)))

    def speak(self) -> None:
        """Put into `unwritten` what can be said now, if there is anything."""
        if not self._unsaid:
            return
        if self.offers.pipelining:
            self._awaited.extend([step for step, _ in self._unsaid])
            self.unwritten = b"".join([octets for _, octets in self._unsaid])
            self._unsaid.clear()
        else:
            step, self.unwritten = self._unsaid.popleft()
            self._awaited.append(step)

    def exposed(self) -> None:
        """Octets of what is unwritten may be on their way, and nobody can tell how many."""
        self._body_touched |= bool(self._body_left)

    def wrote(self, count: int) -> None:
        """So many octets of `unwritten` are on their way."""
        if self._body_left:
            self._body_left = max(0, self._body_left - count)
            self._body_touched |= count > 0
        left = len(self.unwritten) - count
        self.unwritten = memoryview(self.unwritten)[count:] if left else b""

    def hear(self, octets: bytes) -> None:
        """These came from the server."""
        replies = self._replies
        replies.feed(octets)
        while self._awaited and not self.over:
            reply = replies.take()
            if reply is None:
                return
            self._answer(self._awaited.popleft(), *reply)
        if replies and not self.over:  # an answer to nothing: it may have taken the place of another
            self._verdict = None
            self.break_off(ConnectionAbortedError("the server answered what it was not asked"))
        elif self._verdict is not None:
            self._refuse(self._verdict)

    def break_off(self, error: Exception) -> None:
        """The line is lost: say of each letter on it what that means."""
        if self.over:
            return
        self.over = True
        if self.begun is not None:
            step = Step.BODY if self._body_touched else Step.DATA
            self.outcomes.append((self.begun.envelope, failure(step, error)))
            self.begun = None
        asked = Step.DATA if self.open else next((step for step in self._awaited if step in ENVELOPE), Step.MAIL)
        self._let_go(failure(asked, error))

    def _answer(self, step: Step, code: int, text: bytes) -> None:
        if step is Step.BODY:
            self._body_answered(code, text)
        elif step in ENVELOPE:
            self._ahead_answered(step, code, text)
        elif step is Step.RESET and code not in COMPLETED:
            self.break_off(ConnectionAbortedError("the server does not forget a refused message"))
        elif Refused(code, text).out_of_step and code not in COMPLETED:
            self.break_off(ConnectionAbortedError("the server is out of step"))

    def _body_answered(self, code: int, text: bytes) -> None:
        assert self.begun is not None
        envelope, self.begun = self.begun.envelope, None
        if code in COMPLETED and not self._body_left:
            self.outcomes.append((envelope, receipt(code, text)))
            return
        refused = Refused(code, text)
        self.outcomes.append((envelope, failure(Step.BODY, refused)))
        if refused.out_of_step or self._body_left:
            self.break_off(ConnectionAbortedError("the server ended the conversation at another message"))

    def _ahead_answered(self, step: Step, code: int, text: bytes) -> None:
        if step is Step.DATA and code == GO_AHEAD:
            if self._verdict is None:
                self.open = True
            elif self._addressed:  # somebody would get an empty mail
                self.over = True
            else:
                self._unsaid.append((Step.EMPTY, wire.DOT))  # RFC 2920 §3.1
            return
        if step is not Step.DATA and code in COMPLETED:
            self._addressed = step is Step.RCPT
            return
        refused = Refused(code, text)
        if refused.out_of_step:
            self.over = True
            if code in ELSEWHERE:
                self._doubt()
            self._let_go(failure(step, refused))
            return
        self._verdict = self._verdict or failure(step, refused)
        if not self._awaited:
            self._unsaid.clear()
            self._unsaid.append((Step.RESET, wire.RSET))

    def _doubt(self) -> None:
        """An answer came in the place of another: so may have a refusal before it, and the one to the body."""
        self._verdict = None
        for position, (envelope, outcome) in enumerate(self.outcomes):
            if isinstance(outcome, Receipt):
                self.outcomes[position] = envelope, Uncertain("body_unintelligible", outcome.response, line_lost=True)

    def _refuse(self, verdict: DeliveryError) -> None:
        """Every answer is there, and this is what they say of the letter ahead."""
        assert self.ahead is not None
        self.outcomes.append((self.ahead.envelope, verdict))
        self.ahead = self._verdict = None

    def _let_go(self, error: DeliveryError) -> None:
        """The letter ahead, if there is one, is not tried on this line; a refusal may prove right on another."""
        if self.ahead is not None:
            self.stray = self.ahead, self._verdict or error
        self.ahead, self.open, self._verdict = None, False, None
