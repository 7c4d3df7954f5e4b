"""Names that a terminal would obey, wherever a command tells them."""

import io
import json
import logging
import re
import sys
import time
import tomllib
import unicodedata

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm.cli import console
from voicegmm.cli.terminal import say, say_data, visible
from voicegmm.store import FeatureStore

RED = "\x1b[31mred\x1b[0m"
SHOWN = r"\x1b[31mred\x1b[0m"
OBEYED = {"Cc", "Cs", "Zl", "Zp"}  # as Unicode has it
TURNING = {"R", "L", "AL"}


@settings(max_examples=30)
@given(st.text(max_size=12))
def test_what_is_visible_holds_nothing_that_a_terminal_obeys(text):
    shown = visible(text)
    assert all(c == "\t" or unicodedata.category(c) not in OBEYED for c in shown)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]", shown)
    assert visible(shown) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë Müller 你好 👩‍🔬\t1.0", "Zoë Müller 你好 👩‍🔬\t1.0"),
        (RED, SHOWN),
        ("a\nb\r\x7f\x9bK", r"a\x0ab\x0d\x7f\x9bK"),
        ("x\u202egpj.exe", r"x\u202egpj.exe"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xe9"),
    ],
)
def test_only_what_would_be_obeyed_is_changed(text, shown):
    assert visible(text) == shown


@settings(max_examples=30)
@given(st.text(max_size=12, alphabet=st.characters(exclude_categories=["Cs"])))
def test_data_says_the_same_with_escapes(text):
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voicegmm.cli.terminal.click.echo", told.append)
        say_data(json.dumps({"name": text}, ensure_ascii=False))
    assert json.loads(told[0]) == tomllib.loads(f"name = {told[0][9:-1]}") == {"name": text}
    assert visible(told[0]) == told[0]


def test_errors_logs_and_wrong_usage_show_escapes(typed, tmp_path):
    code, _, err = typed("info", tmp_path / f"{RED}.h5")
    assert code in (1, 2)
    assert SHOWN in err
    assert "\x1b" not in err
    code, _, err = typed("info", f"--{RED}")
    assert (code, SHOWN in err, "\x1b" in err) == (2, True, False)
    code, _, err = typed("info", tmp_path / f"{RED}.h5", "--debug")
    assert "Traceback" in err
    assert "\x1b" not in err


def test_the_log_and_warnings_show_escapes(capsys):
    with console.console_log():
        logging.getLogger("voicegmm.test").warning("%s is two people", RED)
    console.warn(f"{RED}: clipped")
    say(f"{RED}\t1.0 s of speech")
    out, err = capsys.readouterr()
    assert err == f"warning: {SHOWN} is two people\nwarning: {SHOWN}: clipped\n"
    assert out == f"{SHOWN}\t1.0 s of speech\n"


def test_a_name_in_a_list_is_shown_with_escapes_and_kept_as_it_is(typed, tmp_path):
    names = ["good.wav", f"{RED}.wav", "\u202egpj.wav"]
    noise = np.random.default_rng(0).standard_normal(8000) * np.linspace(0, 0.1, 8000)
    soundfile.write(tmp_path / names[0], noise, 16_000)
    (tmp_path / "list.txt").write_text("\n".join(names))
    store = tmp_path / "f.h5"
    code, _, err = typed("features", "extract", tmp_path / "list.txt", "-o", store)
    assert code == 0
    data = typed("info", store, "--json")[1]
    for shown in (err, typed("info", store)[1], data):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert r"\u202egpj.wav" in shown
        assert (SHOWN in shown) != (shown is data)
    assert RED in "".join(json.loads(data)["failures"])
    with FeatureStore(store) as kept:
        assert list(kept.ids) == names


def test_a_bar_shows_escapes(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.bars() as progress:
        progress(RED, 1, 2, RED)
        time.sleep(0.15)
        progress(RED, 2, 2, RED)
    assert terminal.getvalue().count(SHOWN) >= 2
    assert "\x1b[31m" not in terminal.getvalue()
