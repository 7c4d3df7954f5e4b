"""Ctrl-C, wherever it comes: one line, and the status that shells expect."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from voicegmm._base.errors import WorkerError
from voicegmm.cli import commands, stopping

ROOT = Path(__file__).parents[2]
LINE = "error: interrupted; what was finished is kept\n"


@pytest.fixture
def failing(monkeypatch):
    """Give a way to have the command `probe` do something, where no signal is ignored."""
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, default) for number, default in defaults.items()}

    def give(action):
        probe = click.Command("probe", callback=action)
        monkeypatch.setitem(commands.voicegmm.commands, "probe", probe)

    yield give
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_one_line(typed, failing, number):
    failing(lambda: signal.raise_signal(number))
    assert typed("probe") == (128 + number, "", LINE)


def test_what_fails_for_it_is_told_as_the_interruption_it_is(typed, failing):
    def swallowed():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise WorkerError("a worker process died") from None

    failing(swallowed)
    assert typed("probe") == (130, "", LINE)
    failing(lambda: None)
    assert typed("probe") == (0, "", "")
    assert not stopping.stopped()


def test_it_is_noticed_while_the_commands_are_imported(typed, monkeypatch):
    class Loader:
        def find_spec(self, name, *_):
            if name == "voicegmm.cli.commands":
                signal.raise_signal(signal.SIGINT)

    monkeypatch.delitem(sys.modules, "voicegmm.cli.commands")
    monkeypatch.setattr(sys, "meta_path", [Loader(), *sys.meta_path])
    assert typed("info", "x.h5") == (130, "", LINE)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_where_it_is_to_be_ignored_it_is(typed, failing):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        failing(lambda: signal.raise_signal(signal.SIGINT))
        assert typed("probe") == (0, "", "")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_run_is_interrupted_at_any_moment(voices, tmp_path):
    command = [sys.executable, "-m", "voicegmm", "run", "demo", "--data", str(voices)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for moment in (0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 3.2):
        process = subprocess.Popen(
            [*command, "--out", str(tmp_path / "run"), "--workers", "2"],
            env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        # Python ends itself by the signal where it was at code that was made from a string; the
        # system ends Python without a word where Python does not yet listen.
        ends = {(130, LINE), (-signal.SIGINT, LINE), (-signal.SIGINT, "")}
        # A later attempt may have told by then that it goes on with a training.
        told = re.sub(
            r"^warning: an interrupted training goes on after its iteration \d+\n", "", err
        )
        assert (process.returncode, told) in ends, moment
