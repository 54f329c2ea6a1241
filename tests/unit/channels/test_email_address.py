"""An address has one normal form, or a sentence about what is wrong with it."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from notify.channels.email.address import ascii_form, needs_smtputf8, parse
from notify.errors import InvalidAddress


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Ada.Lovelace@Example.ORG", "Ada.Lovelace@example.org"),
        ("jo\u0308rg@exa\u0308mple.org", "jörg@exämple.org"),
        ("ada+jobs@example.org", "ada+jobs@example.org"),
        ("ada@xn--exmple-cua.org", "ada@exämple.org"),
    ],
)
def test_an_address_has_one_normal_form(written: str, normal: str) -> None:
    assert parse(written, allow_test=False) == normal
    assert parse(normal, allow_test=False) == normal


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "a b@example.org",
        "ada@localhost",
        "ada@example..org",
        "ada@example.org\r\nX: y",
        "Ada <ada@example.org>",
        "ada@[127.0.0.1]",
        "ada@example.invalid",
        "a" * 300 + "@example.org",
        "\ud800@example.org",
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence(wrong: str) -> None:
    with pytest.raises(InvalidAddress) as refusal:
        parse(wrong, allow_test=True)
    assert "is not an e-mail address: " in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_what_is_not_even_text_is_refused() -> None:
    with pytest.raises(InvalidAddress, match="not int"):
        parse(7, allow_test=True)  # type: ignore[arg-type]


def test_the_test_domain_is_for_development_only() -> None:
    assert parse("ada@example.test", allow_test=True) == "ada@example.test"
    with pytest.raises(InvalidAddress):
        parse("ada@example.test", allow_test=False)


def test_only_the_part_before_the_at_sign_needs_smtputf8() -> None:
    assert needs_smtputf8("jörg@example.org")
    assert not needs_smtputf8("ada@exämple.org")
    assert not needs_smtputf8("ada@example.org")


def test_a_domain_becomes_a_labels_and_the_rest_stays() -> None:
    assert ascii_form("jörg@Exämple.org") == "jörg@xn--exmple-cua.org"
    assert ascii_form("ada@example.org") == "ada@example.org"
    assert ascii_form("") == ""
    with pytest.raises(InvalidAddress):
        ascii_form("ada@\u2603\u200d.org")


@given(
    st.text(alphabet="aZ09_+-.!'\" é", max_size=70),
    st.sampled_from(
        ["example.org", "EXAMPLE.org", "xn--exmple-cua.org", "a.test", "localhost", "-a.org", "a..b", "x" * 64]
    ),
    st.booleans(),
)
def test_a_domain_that_is_known_makes_no_difference(local: str, domain: str, allow_test: bool) -> None:
    address = f"{local}@{domain}"
    try:
        expected = validate_email(address, check_deliverability=False, test_environment=allow_test).normalized
    except EmailNotValidError:
        with pytest.raises(InvalidAddress):
            parse(address, allow_test=allow_test)
    else:
        assert parse(address, allow_test=allow_test) == expected
