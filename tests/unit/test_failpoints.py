"""Failpoints act where they are told, as often as they are told, and are silent otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from notify import failpoints
from notify.errors import InvalidSettings


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


def test_an_unarmed_place_does_nothing() -> None:
    for place in failpoints.PLACES:
        failpoints.reach(place, "anyone")


def test_an_action_happens_every_time() -> None:
    failpoints.arm("settle.begun=memory")
    for _ in range(3):
        with pytest.raises(MemoryError):
            failpoints.reach("settle.begun")


def test_an_action_happens_the_nth_time_and_only_then() -> None:
    failpoints.arm("settle.begun=memory@3")
    for _ in range(2):
        failpoints.reach("settle.begun")
    with pytest.raises(MemoryError):
        failpoints.reach("settle.begun")
    for _ in range(5):
        failpoints.reach("settle.begun")


def test_an_action_for_a_subject_leaves_the_others_alone() -> None:
    failpoints.arm("render[user-13]=memory")
    failpoints.reach("render", "user-1")
    failpoints.reach("render")
    with pytest.raises(MemoryError):
        failpoints.reach("render", "user-13")


def test_only_passages_of_the_subject_are_counted() -> None:
    failpoints.arm("render[user-13]=memory@2")
    for subject in ("user-1", "user-13", "user-1"):
        failpoints.reach("render", subject)
    with pytest.raises(MemoryError):
        failpoints.reach("render", "user-13")


def test_one_place_can_have_several() -> None:
    failpoints.arm("claim.committed=memory@1, claim.committed=memory@3")
    failures = 0
    for _ in range(4):
        try:
            failpoints.reach("claim.committed")
        except MemoryError:
            failures += 1
    assert failures == 2


def test_threads_count_together() -> None:
    failpoints.arm("journal.entered=memory@500")
    struck = []

    def pass_by() -> None:
        for _ in range(250):
            try:
                failpoints.reach("journal.entered")
            except MemoryError:
                struck.append(1)

    threads = [threading.Thread(target=pass_by) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert struck == [1]


def test_a_hang_lasts_as_long_as_it_says() -> None:
    failpoints.arm("render=hang:0.05")
    began = time.monotonic()
    failpoints.reach("render")
    assert time.monotonic() - began >= 0.05


def test_arming_again_replaces_what_was_armed() -> None:
    failpoints.arm("render=memory")
    failpoints.arm("settle.begun=memory")
    failpoints.reach("render")
    with pytest.raises(MemoryError):
        failpoints.reach("settle.begun")


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("abort", signal.SIGABRT)])
def test_the_process_dies_of_a_kill(action: str, number: signal.Signals) -> None:
    code = f"from notify import failpoints as f; f.arm('render={action}@2'); f.reach('render'); print(1, flush=True)"
    died = subprocess.run(
        [sys.executable, "-c", f"{code}; f.reach('render'); print(2)"], capture_output=True, timeout=60, check=False
    )
    assert (died.returncode, died.stdout) == (-number, b"1\n")


def test_a_stopped_process_goes_on_when_it_is_continued() -> None:
    code = "from notify import failpoints as f; f.arm('render=stop'); f.reach('render'); print('on')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=60)[0] == b"on\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("setle.begun=kill", "settle.begun"),
        ("render=explode", "render=explode"),
        ("render", "'render'"),
        ("render=kill@0", "render=kill@0"),
        ("render=hang:soon", "hang:soon"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(InvalidSettings, match="NOTIFY_FAILPOINTS") as refused:
        failpoints.arm(text)
    assert named in str(refused.value)


def test_a_refused_text_leaves_what_was_armed() -> None:
    failpoints.arm("render=memory")
    with pytest.raises(InvalidSettings):
        failpoints.arm("settle.begun=memory,nowhere=kill")
    with pytest.raises(MemoryError):
        failpoints.reach("render")
