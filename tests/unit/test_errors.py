"""The error tree that is drawn is the error tree that is raised."""

from __future__ import annotations

import inspect
import re

import pytest

from notify import errors
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain, did_you_mean

BRANCH = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<name>\w+)\s+(?P<says>\S.*)$")


def drawn() -> dict[str, str]:
    """Each class in the docstring's drawing, with the name of its parent."""
    path, parents = ["NotifyError"], {"NotifyError": "Exception"}
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        if branch := BRANCH.match(line):
            depth = len(branch["indent"]) // 4 + 1
            path[depth:] = [branch["name"]]
            parents[branch["name"]] = path[depth - 1]
    return parents


def defined() -> dict[str, str]:
    return {
        name: one.__base__.__name__
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, Exception) and one.__base__ is not None
    }


def test_the_drawing_shows_every_class_under_its_parent() -> None:
    assert drawn() == defined()


def test_every_error_says_in_its_docstring_what_it_means() -> None:
    assert [name for name in defined() if not inspect.getdoc(getattr(errors, name))] == []


@pytest.mark.parametrize("error", [Transient, Throttled, Uncertain, Misconfigured])
def test_a_delivery_error_keeps_reason_response_and_wait_apart(error: type[DeliveryError]) -> None:
    raised = error("greylisted", "450 4.2.0 come back", retry_after=60.0)
    assert (raised.reason, raised.response, raised.retry_after) == ("greylisted", "450 4.2.0 come back", 60.0)
    assert str(raised) == "greylisted: 450 4.2.0 come back"


def test_a_delivery_error_without_an_answer_is_its_reason() -> None:
    assert str(Transient("connection_refused")) == "connection_refused"


def test_a_rejection_blames_the_message_unless_told_to_blame_the_address() -> None:
    assert Rejected("spam").scope == "message"
    assert Rejected("mailbox_unknown", scope="address").scope == "address"


def test_a_near_miss_is_suggested() -> None:
    assert did_you_mean("row", ["rows", "columns"]) == "; did you mean 'rows'?"


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    assert did_you_mean("zebra", ["rows", "columns"]) == ""
    assert did_you_mean("rows", []) == ""
