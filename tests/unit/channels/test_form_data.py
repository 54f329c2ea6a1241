"""A form is kept whole where it is small, and cut where it is large; no octets crash the reader, however they come."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.channels import form_data
from notify.channels.form_data import ALWAYS, KEPT, LONGEST_HEAD, MOST_PARTS, Cutting
from notify.errors import Unreadable
from tests.conformance.inbound import BOUNDARY, FORM, form

MEGABYTE = 1024 * 1024


def cut(body: bytes, size: int = 65536, kind: str = FORM) -> bytes:
    cutting = Cutting(kind)
    for start in range(0, len(body), size):
        cutting.add(body[start : start + size])
    return cutting.kept()


def contents(body: bytes) -> dict[str, bytes]:
    return {part.name: part.content for part in form_data.read(FORM, body)}


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20), st.integers(1, 300))
def test_a_small_form_is_kept_as_it_came_however_it_comes(values: list[bytes], size: int) -> None:
    body = form({f"field{number}": value for number, value in enumerate(values)}).body
    assert cut(body, size) == body


def test_values_are_read_octet_by_octet() -> None:
    values = {"a": bytes(range(256)), "b": b"", "c": b"\r\n--xYz\r\n\r\n", "d": b"\r\n"}
    assert contents(form(values).body) == values


def test_of_a_large_part_the_first_megabyte_is_kept_and_small_ones_whole() -> None:
    large = b"0123456789abcdef" * (2 * MEGABYTE)
    values = {"first": b"small", "large": large, "last": b"small, too"}
    kept = cut(form(values).body)
    read = contents(kept)
    assert len(kept) < KEPT + ALWAYS
    assert len(read["large"]) >= MEGABYTE
    assert large.startswith(read.pop("large"))
    assert read == {"first": b"small", "last": b"small, too"}


def test_many_large_parts_are_kept_in_bounded_memory() -> None:
    body = form({f"file{number}": b"x" * (2 * ALWAYS) for number in range(3 * MOST_PARTS)}).body
    kept = cut(body)
    assert len(kept) < KEPT + MOST_PARTS * ALWAYS
    assert len(form_data.read(FORM, kept)) <= MOST_PARTS


def test_a_body_without_boundaries_is_cut_and_named() -> None:
    for kind in ("text/plain", "multipart/form-data", f"multipart/form-data; boundary={'x' * 71}", ""):
        assert cut(b"x" * 3 * MEGABYTE, kind=kind) == b"x" * KEPT
        with pytest.raises(Unreadable, match="boundary"):
            form_data.read(kind, b"x")


def test_a_boundary_inside_that_begins_in_the_same_way_ends_nothing() -> None:
    inner = f"\r\n--{BOUNDARY}{BOUNDARY}\r\n\r\ninside\r\n--{BOUNDARY}{BOUNDARY}--\r\n".encode()
    body = form({"email": inner, "to": b"x"}).body
    assert contents(cut(body)) == {"email": inner, "to": b"x"}


def test_an_endless_head_is_read_in_bounded_time() -> None:
    head = b"X-Long: " + b"y" * MEGABYTE
    body = b"--xYzZY\r\n" + head + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--xYzZY--'
    assert len(head) > LONGEST_HEAD
    with pytest.raises(Unreadable, match="named"):
        form_data.read(FORM, body)


@given(
    st.lists(
        st.sampled_from(
            [
                b"--xYzZY",
                b"--xYzZY--",
                b"\r\n",
                b"\n",
                b'Content-Disposition: form-data; name="',
                b'a"',
                b"\x00",
                b"\xff",
                b"Content-Type: ",
                b"multipart/mixed; boundary=",
                b";",
            ]
        )
    )
)
def test_no_octets_crash_it_and_cutting_changes_nothing_small(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    assert cut(body, 3) == body
    with suppress(Unreadable):
        form_data.read(FORM, body)
