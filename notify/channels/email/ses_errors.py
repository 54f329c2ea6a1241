"""What Amazon SES refuses, and what boto3 raises, means: exactly one of the five delivery errors, whatever happened.

Codes are those of the SES API v2 (SendEmail, GetAccount) and of AWS's common errors; where one code has several
meanings, SES tells them apart in its message only.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain

LONGEST_RESPONSE = 500  # characters of a message that are repeated
USUAL_WAIT, LONGEST_WAIT = 1.0, 900.0
"""Seconds: SES counts its rate by the second; a day's quota rolls, and comes back bit by bit."""

Answer = Mapping[str, Any]
"""`ClientError.response`: `Error` with `Code` and `Message`, `ResponseMetadata` with status and headers."""
Meaning = Callable[[str], DeliveryError]
"""Given what was said."""


def _misconfigured(reason: str) -> Meaning:
    return lambda said: Misconfigured(reason, said)


def _of_the_address(reason: str) -> Meaning:
    return lambda said: Rejected(reason, said, scope="address")


def _of_the_message(reason: str) -> Meaning:
    return lambda said: Rejected(reason, said)


def _lost(reason: str) -> Meaning:
    """Nothing was handed over."""
    return lambda said: Transient(reason, said, line_lost=True)


def _doubtful(reason: str) -> Meaning:
    return lambda said: Uncertain(reason, said, line_lost=True)


CODES: Mapping[str, Meaning] = MappingProxyType(
    {
        "AccountSuspendedException": _misconfigured("account_suspended"),
        "SendingPausedException": _misconfigured("sending_paused"),
        "MailFromDomainNotVerifiedException": _misconfigured("sender_refused"),
        "NotFoundException": _misconfigured("configuration_set_unknown"),
        "AccessDenied": _misconfigured("access_denied"),
        "AccessDeniedException": _misconfigured("access_denied"),
        "NotAuthorized": _misconfigured("access_denied"),
        "ExpiredToken": _misconfigured("credentials_expired"),
        "ExpiredTokenException": _misconfigured("credentials_expired"),
        "IncompleteSignature": _misconfigured("credentials_refused"),
        "InvalidClientTokenId": _misconfigured("credentials_refused"),
        "InvalidSignatureException": _misconfigured("credentials_refused"),
        "MissingAuthenticationToken": _misconfigured("credentials_refused"),
        "MissingAuthenticationTokenException": _misconfigured("credentials_refused"),
        "OptInRequired": _misconfigured("credentials_refused"),
        "SignatureDoesNotMatch": _misconfigured("credentials_refused"),
        "UnrecognizedClientException": _misconfigured("credentials_refused"),
        "RequestExpired": _misconfigured("clock_wrong"),
        "RequestTimeTooSkewed": _misconfigured("clock_wrong"),
        "ConcurrentModificationException": lambda said: Transient("provider_failed", said),
        "ConflictException": lambda said: Transient("provider_failed", said),
        "InternalServiceErrorException": lambda said: Transient("provider_failed", said),
        "InternalFailure": lambda said: Transient("provider_failed", said),
        "ServiceUnavailable": lambda said: Transient("provider_failed", said),
    }
)
"""By code alone."""

THROTTLES = frozenset(
    {
        *("TooManyRequestsException", "LimitExceededException", "Throttling", "ThrottlingException"),
        *("ThrottledException", "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded", "SlowDown"),
    }
)
_DAILY = re.compile(r"\bdaily\b|\bquota\b|24[- ]hour", re.IGNORECASE)
_SKEWED = re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE)
_UNVERIFIED = re.compile(r"not verified\b.*?(?:in region [\w-]+: *(?P<identities>.+))?$", re.IGNORECASE | re.DOTALL)


def _says(form: str) -> re.Pattern[str]:
    return re.compile(form, re.IGNORECASE)


MESSAGES: tuple[tuple[re.Pattern[str], Meaning], ...] = (
    (
        _says(r"sending (?:has been |is )?(?:suspended|paused)|account is (?:suspended|paused)"),
        _misconfigured("sending_paused"),
    ),
    (_says(r"configuration ?set\b.*\bnot exist"), _misconfigured("configuration_set_unknown")),
    (_says(r"blacklisted|suppression list"), _of_the_address("address_suppressed")),
    (
        _says(r"(?:length|size) is more than|too (?:large|long|big)|exceed\w* .*(?:size|length)"),
        _of_the_message("too_large"),
    ),
    (
        _says(
            r"missing final|local (?:address|name|part)|illegal address|invalid (?:email )?address"
            r"|\bdomain (?:contains|starts|ends|name)"
        ),
        _of_the_address("recipient_invalid"),
    ),
    (_says(r"virus|malware|\bspam|content|\bmime\b|attachment"), _of_the_message("content_refused")),
)
"""What MessageRejected and BadRequestException say, the first that is found."""

_CREDENTIALS = (
    *(boto.NoCredentialsError, boto.PartialCredentialsError, boto.NoAuthTokenError, boto.UnknownCredentialError),
    *(boto.RefreshWithMFAUnsupportedError, boto.SSOError, boto.LoginError, boto.UnknownTokenProviderError),
)
_SETTINGS = (
    *(boto.ProfileNotFound, boto.ConfigParseError, boto.ConfigNotFound, boto.InvalidConfigError),
    *(boto.BaseEndpointResolverError, boto.EndpointProviderError, boto.InvalidEndpointConfigurationError),
    *(boto.InvalidRegionError, boto.UnknownRegionError, boto.ServiceNotInRegionError, boto.InvalidProxiesConfigError),
    *(boto.InvalidRetryConfigurationError, boto.InvalidDefaultsMode, boto.InvalidChecksumConfigError),
    *(boto.InvalidIMDSEndpointError, boto.InvalidIMDSEndpointModeError, boto.InvalidSTSRegionalEndpointsConfigError),
    *(boto.InvalidEndpointDiscoveryConfigurationError, boto.UnsupportedServiceProtocolsError),
    *(boto.DataNotFoundError, boto.ApiVersionNotFoundError, boto.MissingDependencyException, boto.MD5UnavailableError),
    *(boto.UnknownSignatureVersionError, boto.UnsupportedSignatureVersionError, boto.InvalidHostLabelError),
)

CLASSES: tuple[tuple[tuple[type[Exception], ...], Meaning], ...] = (
    ((boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError), _lost("unreachable")),
    ((boto.ReadTimeoutError,), _doubtful("answer_timeout")),
    ((boto.ConnectionClosedError, boto.ResponseStreamingError, boto.IncompleteReadError), _doubtful("disconnected")),
    ((boto.HTTPClientError, boto.ConnectionError), _doubtful("request_failed")),
    ((ResponseParserError, boto.ChecksumError, boto.FlexibleChecksumError), _doubtful("answer_unintelligible")),
    (
        (boto.CredentialRetrievalError, boto.MetadataRetrievalError, boto.TokenRetrievalError),
        _lost("credentials_unavailable"),
    ),
    (_CREDENTIALS, _misconfigured("credentials_missing")),
    (_SETTINGS, _misconfigured("configuration_invalid")),
    (
        (boto.ParamValidationError, boto.ValidationError, boto.MissingParametersError),
        _of_the_message("message_refused"),
    ),
)
"""By class, the first that fits; what is none of them may have come up after the request was sent."""

FORWARDED = frozenset({502, 504})  # a gateway passed it on, and got no proper answer (RFC 9110 §15.6.3, §15.6.5)
_THROTTLED, _UNAVAILABLE = 429, 503
STATUSES: Mapping[int, Meaning] = MappingProxyType(
    {
        401: _misconfigured("credentials_refused"),
        403: _misconfigured("credentials_refused"),
        404: _misconfigured("endpoint_wrong"),
        408: lambda said: Transient("provider_failed", said),
        413: _of_the_message("too_large"),
    }
)
_CERTIFICATE = re.compile(r"certificate|CERTIFICATE_VERIFY_FAILED|doesn't match", re.IGNORECASE)
_BEFORE_TLS = re.compile(r"WRONG_VERSION|HANDSHAKE|_PROTOCOL|NO_CIPHERS|NO_SHARED")
_SECRETS = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}|(?:the )?canonical string .*", re.IGNORECASE | re.DOTALL)


def failure(error: Exception, *, recipient: str = "", place: str = "", secret: str = "") -> DeliveryError:
    """The meaning of an exception, of whatever class, that came up while `recipient` was written to.

    `place` is the region, told with what was said; `secret` is masked there.
    """
    if isinstance(error, DeliveryError):
        return error
    if isinstance(error, boto.ClientError):
        return refusal(error.response, recipient=recipient, place=place, secret=secret)
    told = _told(place, str(error), secret)
    if isinstance(error, boto.SSLError | ssl.SSLError):
        return _tls(str(error))(told)
    meaning = next((meaning for kinds, meaning in CLASSES if isinstance(error, kinds)), _doubtful("request_failed"))
    return meaning(told)


def refusal(answer: Answer, *, recipient: str = "", place: str = "", secret: str = "") -> DeliveryError:
    """The meaning of an answer that is an error; the other arguments are those of `failure`."""
    code, message = str(answer.get("Error", {}).get("Code", "")), str(answer.get("Error", {}).get("Message") or "")
    facts = answer.get("ResponseMetadata", {})
    status, headers = int(facts.get("HTTPStatusCode") or 0), facts.get("HTTPHeaders", {})
    said = _told(place, f"{status} {code}: {message}", secret)
    if code in THROTTLES or status == _THROTTLED or (status == _UNAVAILABLE and "retry-after" in headers):
        daily = bool(_DAILY.search(message)) or code == "LimitExceededException"
        wait = LONGEST_WAIT if daily else _retry_after(headers)
        return Throttled("quota_used_up" if daily else "rate_limited", said, retry_after=wait)
    if _SKEWED.search(message):
        return Misconfigured("clock_wrong", said)
    return (CODES.get(code) or _by_status(status, message, recipient))(said)


def without_consequences(error: DeliveryError) -> DeliveryError:
    """The meaning of an error where nothing was handed over: there is nothing to be in doubt about."""
    if isinstance(error, Uncertain):
        return Transient(error.reason, error.response, line_lost=error.line_lost)
    return error


def _by_status(status: int, message: str, recipient: str) -> Meaning:
    """An error whose code says little: the class of the status is RFC 9110 §15's."""
    match status // 100:
        case 3:
            return _misconfigured("endpoint_wrong")
        case 4:
            return _by_message(message, recipient) or STATUSES.get(status, _of_the_message("message_refused"))
        case 5 if status not in FORWARDED:
            return lambda said: Transient("provider_failed", said)
    return _doubtful("gateway_failed" if status in FORWARDED else "answer_unintelligible")


def _by_message(message: str, recipient: str) -> Meaning | None:
    unverified = _UNVERIFIED.search(message)
    if unverified is None:
        return next((meaning for form, meaning in MESSAGES if form.search(message)), None)
    named = {name.strip().casefold() for name in (unverified["identities"] or "").split(",")}
    return _misconfigured("account_in_sandbox" if named == {recipient.casefold()} else "sender_refused")


def _tls(text: str) -> Meaning:
    if _CERTIFICATE.search(text):
        return _misconfigured("certificate_invalid")
    return (_lost if _BEFORE_TLS.search(text) else _doubtful)("tls_failed")


def _retry_after(headers: Mapping[str, str]) -> float:
    wait = USUAL_WAIT
    with suppress(ValueError):
        wait = float(headers.get("retry-after", ""))
    return USUAL_WAIT if math.isnan(wait) else min(max(wait, USUAL_WAIT), LONGEST_WAIT)


def _told(place: str, text: str, secret: str) -> str:
    """What may be repeated: short, without keys and signatures, and without NUL, which PostgreSQL does not take."""
    text = _SECRETS.sub("***", text.replace(secret, "***") if secret else text)
    text = text.replace("\0", "\ufffd").strip()[:LONGEST_RESPONSE]
    return f"{place}: {text}" if place else text
