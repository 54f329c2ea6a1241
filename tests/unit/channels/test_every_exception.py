"""Every exception class of the libraries under the providers means one of the five delivery errors.

The classes are found in the modules themselves. One that a new version brings fails the test until somebody has
thought about it and entered it below.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import smtplib
import socket
import ssl
from collections.abc import Iterable
from types import ModuleType

import botocore
import botocore.session
import httpx2
import pytest
from botocore.exceptions import ClientError

from notify.channels import http
from notify.channels.email import ses_errors, smtp_replies
from notify.channels.email.smtp_replies import Step
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain

FIVE = {Transient, Throttled, Rejected, Uncertain, Misconfigured}
Kind = type[Exception]


def classes(modules: Iterable[ModuleType], *of: str) -> dict[str, Kind]:
    """By name, those that are defined in one of these packages and are no warnings."""
    return {
        kind.__name__: kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, Warning) and kind.__module__.partition(".")[0] in of
    }


def made(kind: Kind) -> Exception:
    """An instance, whatever its constructor wants."""
    error = kind.__new__(kind, "gone")
    if issubclass(kind, smtplib.SMTPResponseException):
        error.smtp_code, error.smtp_error = 550, b"no"  # type: ignore[attr-defined]
    if issubclass(kind, ClientError):
        error.response = {}  # type: ignore[attr-defined]
    return error


# smtplib, ssl, socket

SMTP = classes((smtplib,), "smtplib") | classes((ssl,), "ssl") | classes((socket,), "socket", "builtins")
LOST = """BlockingIOError BrokenPipeError ConnectionError ConnectionAbortedError ConnectionRefusedError
    ConnectionResetError InterruptedError OSError TimeoutError error gaierror herror timeout
    SSLEOFError SSLError SSLSyscallError SSLWantReadError SSLWantWriteError SSLZeroReturnError
    SMTPAuthenticationError SMTPConnectError SMTPDataError SMTPException SMTPHeloError SMTPRecipientsRefused
    SMTPResponseException SMTPSenderRefused SMTPServerDisconnected _GiveupOnSendfile"""
FOR_THE_OPERATOR = "SSLCertVerificationError SMTPNotSupportedError"


def test_every_class_of_smtplib_ssl_and_socket_is_known() -> None:
    assert sorted(set(SMTP) - set(f"{LOST} {FOR_THE_OPERATOR}".split())) == []


@pytest.mark.parametrize("name", sorted(SMTP))
def test_on_an_smtp_line_it_is_doubt_once_the_body_is_written_and_none_before(name: str) -> None:
    before = smtp_replies.failure(Step.DATA, made(SMTP[name]))
    assert type(before) is (Misconfigured if name in FOR_THE_OPERATOR.split() else Transient)
    assert type(smtp_replies.failure(Step.BODY, made(SMTP[name]))) is Uncertain
    assert all(type(smtp_replies.failure(step, made(SMTP[name]))) in FIVE for step in Step)


# httpx2

HTTPX2 = classes((httpx2,), "httpx2")
HTTP_ERRORS = """CloseError ConnectError ConnectTimeout CookieConflict DecodingError HTTPError HTTPStatusError
    InvalidURL LocalProtocolError NetworkError PoolTimeout ProtocolError ProxyError ReadError ReadTimeout
    RemoteProtocolError RequestError RequestNotRead ResponseNotRead SSEError StreamClosed StreamConsumed StreamError
    TimeoutException TooManyRedirects TransportError UnsupportedProtocol WriteError WriteTimeout"""


def test_every_class_of_httpx2_is_known() -> None:
    assert sorted(set(HTTPX2) - set(HTTP_ERRORS.split())) == []


@pytest.mark.parametrize("name", sorted(HTTPX2))
def test_on_an_http_line_it_is_doubt_once_the_body_is_begun_and_none_before(name: str) -> None:
    assert type(http.failure(made(HTTPX2[name]), begun=True)) is Uncertain
    assert type(http.failure(made(HTTPX2[name]), begun=False)) is Transient


# botocore

BOTOCORE = classes(
    (
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(botocore.__path__, "botocore.")
        if not found.name.startswith(("botocore.vendored", "botocore.crt", "botocore.docs"))
    ),
    "botocore",
)
NOT_REACHED = "ConnectTimeoutError EndpointConnectionError ProxyConnectionError"
NO_CREDENTIALS_NOW = "CredentialRetrievalError MetadataRetrievalError TokenRetrievalError"
NO_CREDENTIALS = """LoginAuthorizationCodeError LoginError LoginInsufficientPermissions LoginRefreshRequired
    LoginTokenLoadError NoAuthTokenError NoCredentialsError PartialCredentialsError RefreshWithMFAUnsupportedError
    SSOError SSOTokenLoadError UnauthorizedSSOTokenError UnknownCredentialError UnknownTokenProviderError"""
BAD_SETTINGS = """ApiVersionNotFoundError BaseEndpointResolverError ConfigNotFound ConfigParseError DataNotFoundError
    EndpointProviderError EndpointResolutionError EndpointVariantError InfiniteLoopConfigError
    InvalidChecksumConfigError InvalidConfigError InvalidDefaultsMode InvalidEndpointConfigurationError
    InvalidEndpointDiscoveryConfigurationError InvalidHostLabelError InvalidIMDSEndpointError
    InvalidIMDSEndpointModeError InvalidMaxRetryAttemptsError InvalidProxiesConfigError InvalidRegionError
    InvalidRetryConfigurationError InvalidRetryModeError InvalidSTSRegionalEndpointsConfigError MD5UnavailableError
    MissingDependencyException NoRegionError ProfileNotFound ServiceNotInRegionError UnknownEndpointError
    UnknownEndpointResolutionBuiltInName UnknownFIPSEndpointError UnknownRegionError UnknownServiceError
    UnknownSignatureVersionError UnsupportedServiceProtocolsError UnsupportedSignatureVersionError"""
BAD_REQUEST = """AliasConflictParameterError MissingParametersError ParamValidationError RangeError UnknownKeyError
    UnknownParameterError ValidationError"""
AFTER_THE_REQUEST = """ChecksumError ClientError ConnectionClosedError ConnectionError EventStreamError
    FlexibleChecksumError HTTPClientError IncompleteReadError ReadTimeoutError ResponseParserError
    ResponseStreamingError SSLError"""
OF_OTHER_SERVICES = """AwsChunkedWrapperError BadIMDSRequestError BotoCoreError CapacityNotAvailableError
    ChecksumMismatch DuplicateHeader EndpointDiscoveryException EndpointDiscoveryRefreshFailed
    EndpointDiscoveryRequired InvalidArnException InvalidDNSNameError InvalidExpressionError InvalidHeadersLength
    InvalidPayloadLength InvalidS3AddressingStyleError InvalidS3UsEast1RegionalEndpointConfigError InvalidShapeError
    InvalidShapeReferenceError MissingServiceIdError NoInitialResponseError NoShapeFoundError OperationNotFoundError
    OperationNotPageableError PaginationError ParserError StubAssertionError StubResponseError UnStubbedResponseError
    UndefinedModelAttributeError UnknownClientMethodError UnknownServiceStyle UnseekableStreamError
    UnsupportedOutpostResourceError UnsupportedS3AccesspointConfigurationError UnsupportedS3ArnError
    UnsupportedS3ConfigurationError UnsupportedS3ControlArnError UnsupportedS3ControlConfigurationError
    WaiterConfigError WaiterError _RetriesExceededError"""
MEANINGS: dict[str, Kind] = {
    name: kind
    for names, kind in (
        (NOT_REACHED, Transient),
        (NO_CREDENTIALS_NOW, Transient),
        (NO_CREDENTIALS, Misconfigured),
        (BAD_SETTINGS, Misconfigured),
        (BAD_REQUEST, Rejected),
        (AFTER_THE_REQUEST, Uncertain),
        (OF_OTHER_SERVICES, Uncertain),  # not to be expected: so the cautious one
    )
    for name in names.split()
}


def test_every_class_of_botocore_is_known() -> None:
    assert sorted(set(BOTOCORE) - set(MEANINGS)) == []


@pytest.mark.parametrize("name", sorted(BOTOCORE))
def test_each_class_of_botocore_means_one_of_the_five(name: str) -> None:
    assert type(ses_errors.failure(made(BOTOCORE[name]))) is MEANINGS[name]


def test_every_error_that_the_ses_api_declares_is_known_by_its_code() -> None:
    model = botocore.session.Session().get_service_model("sesv2")
    declared = {
        shape.name for name in ("SendEmail", "GetAccount") for shape in model.operation_model(name).error_shapes
    }
    assert declared >= {"MessageRejected", "SendingPausedException"}
    by_message = {"MessageRejected", "BadRequestException"}
    assert sorted(declared - set(ses_errors.CODES) - ses_errors.THROTTLES - by_message) == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", Misconfigured),
        ("hostname 'a' doesn't match 'b'", Misconfigured),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", Transient),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure", Transient),
        ("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] decryption failed", Uncertain),
        ("EOF occurred in violation of protocol (_ssl.c:2427)", Uncertain),
    ],
)
def test_tls_that_fails_before_the_request_leaves_no_doubt(said: str, kind: Kind) -> None:
    error = botocore.exceptions.SSLError(endpoint_url="https://email.test", error=said)
    assert type(ses_errors.failure(error)) is kind


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("x"), RuntimeError(), UnicodeError("no"), MemoryError()])
def test_what_nobody_thought_of_is_one_of_the_five(error: Exception) -> None:
    assert type(ses_errors.failure(error)) is Uncertain
    assert type(http.failure(error, begun=False)) is Transient
    assert type(smtp_replies.failure(Step.DATA, error)) is Transient


def test_a_delivery_error_stays_what_it_is() -> None:
    error: DeliveryError = Rejected("too_large")
    assert ses_errors.failure(error) is http.failure(error, begun=True) is error
