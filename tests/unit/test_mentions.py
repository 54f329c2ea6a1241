"""Whom kept octets tell of is found in every encoding that they come in, and nobody else is."""

from __future__ import annotations

import json
from base64 import encodebytes
from urllib.parse import urlencode
from uuid import UUID

import pytest

from notify.store.mentions import Mentions

MESSAGE = UUID(int=7)
ANN = Mentions.of(["ann@example.org", "+4915112345678", "ann@bücher.example"], [MESSAGE])
INNER = json.dumps({"said": "for\n<ann@example.org>"})


@pytest.mark.parametrize(
    "octets",
    [
        b"ann@example.org",
        b"To: ANN@Example.ORG.",
        json.dumps({"Message": INNER.replace("<", "\\u003c")}).encode(),
        urlencode({"to": "Ann <ann@example.org>"}).encode(),
        urlencode({"From": "Ann ann@example.org"}).encode(),
        urlencode({"To": "+4915112345678"}).encode(),
        b"a line that ends in the address of ann@exa=\r\nmple.org",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encodebytes(b"x" * 60 + b" ann@example.org"),
        b"<ann@xn--bcher-kva.example>",
        f'{{"message": "{MESSAGE}"}}'.encode(),
    ],
)
def test_a_mention_is_found(octets: bytes) -> None:
    assert ANN.within(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"joann@example.org",
        b"jo+ann@example.org at 100 % of the times",
        b"jo.ann@example.org",
        b"ann@example.org.uk",
        b"ann@example.organic",
        b"+49151123456789",
        f'{{"message": "{UUID(int=8)}"}}'.encode(),
        b"\xff\x00" * 40,
        b"",
    ],
)
def test_somebody_else_is_not(octets: bytes) -> None:
    assert not ANN.within(octets)
