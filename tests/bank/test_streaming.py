"""Verifying a voice while it speaks, with a bank of artificial voices."""

import gc
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm import VoiceBank
from voicegmm._base.errors import AudioError, DataError, ListError, VoicegmmError
from voicegmm.audio import read_signal
from voicegmm.bank import BankOptions
from voicegmm.cli import main
from voicegmm.features import load_front_end
from voicegmm.mixture import EmOptions, InitialOptions
from voicegmm.scoring import SequentialOptions, UbmOptions
from voicegmm.store import describe

ASKED = SequentialOptions(false_accept=0.1, miss=0.1, first_seconds=0.3, step_seconds=0.1)
QUICK = BankOptions(
    features=load_front_end("voicegmm-16k-stream", ["speech.threshold=12"]),
    n_components=8,
    n_folds=3,
    ubm=UbmOptions(1, InitialOptions(100, 3), EmOptions(4)),
    sequential=ASKED,
)


@pytest.fixture(scope="module")
def bank(speaker_folders):
    return VoiceBank.train(speaker_folders / "known", QUICK, n_workers=2)


@pytest.fixture(scope="module")
def speech(voices):
    """All that v003 said, one recording after another."""
    files = sorted((voices / "wavs/v003").glob("*.wav"))
    return np.concatenate([read_signal(file, 16_000).samples for file in files])


@pytest.fixture(scope="module")
def undecided(bank):
    """The same bank, with thresholds that take more than anybody says."""
    test = replace(bank.voices.sequential, accept=50.0, reject=-50.0, max_seconds=3.0)
    return VoiceBank(replace(bank.voices, sequential=test))


def test_a_bank_that_can_listen_says_how_often_it_errs(bank):
    test = bank.voices.sequential
    assert test.options == ASKED
    assert test.accept >= 0 >= test.reject
    assert 0.3 <= test.max_seconds <= ASKED.max_seconds
    achieved = test.achieved
    for rate in (achieved.false_accept, achieved.miss):
        assert 0 <= rate.low <= rate.value <= rate.high <= 1
        assert rate.n_speakers == 12
    assert 0.3 <= achieved.speaker_seconds <= test.max_seconds


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 48_000), max_size=12), fine=st.booleans())
def test_the_same_sound_gives_the_same_states_however_it_is_cut(bank, speech, cuts, fine):
    told = speech[:48_000]
    whole, pieces = bank.verifier("v003"), bank.verifier("v003")
    cuts = sorted({*cuts, *(range(0, 8000, 700) if fine else ())})
    n = 0
    for piece in np.split(told, cuts):
        state = pieces.push(piece)
        n += len(piece)
        if n in cuts[::4]:
            apart = bank.verifier("v003")
            assert apart.push(told[:n]) == state
    assert whole.push(told) == pieces.state
    assert whole.flush() == pieces.flush()


@pytest.mark.parametrize("name", ["v003", "v007"])
def test_in_the_end_the_score_is_that_of_the_whole_recording(bank, voices, name):
    for file in sorted((voices / "wavs/v003").glob("*.wav"))[:2]:
        verifier = bank.verifier(name)
        verifier.push(read_signal(file, 16_000).samples)
        state, whole = verifier.flush(), bank.verify(name, file)
        assert state.score == pytest.approx(whole.score, rel=1e-4, abs=1e-5)
        assert state.speech_seconds == pytest.approx(whole.seconds)
        calibration = bank.voices.sequential.calibration
        ratio = float(calibration.apply(state.score, state.speech_seconds))
        assert state.at_limit == (abs(ratio) > calibration.long.limit)
        assert state.llr == pytest.approx(ratio) or state.at_limit


def test_a_decision_is_the_first_look_that_reaches_a_threshold_and_stands(undecided, speech):
    """Thresholds laid just inside and just outside what a voice reaches along its way."""
    pieces = np.array_split(speech, len(speech) // 1600)
    test = undecided.voices.sequential
    verifier = undecided.verifier("v003")
    trail = [verifier.push(piece) for piece in pieces]
    assert {state.decision for state in trail} == {"undecided"}
    assert "first look" in trail[0].reason
    assert "between -50.00 and +50.00" in trail[20].reason
    assert "no decision in 3 s" in trail[-1].reason
    heard = [state for state in trail if 0.3 <= state.speech_seconds <= 3.0]
    ratios = [float(test.calibration.apply(s.score, s.speech_seconds)) for s in heard]
    assert max(ratios) > 0.5
    accept = 0.7 * max(ratios)
    voices = replace(undecided.voices, sequential=replace(test, accept=accept))
    second = VoiceBank(voices).verifier("v003")
    states = [second.push(piece) for piece in pieces]
    first = next(i for i, state in enumerate(states) if state.decision != "undecided")
    decided = states[first]
    assert decided.decision == "accept"
    assert 0 <= decided.seconds - decided.decided_seconds < 0.1
    assert 0.3 <= decided.decided_speech_seconds <= decided.speech_seconds
    assert f"{accept:+.2f} is asked for" in decided.reason
    for before in states[:first]:
        assert before.decided_seconds is None
    for state in [*states[first:], second.flush()]:
        assert (state.decision, state.reason) == ("accept", decided.reason)
        assert state.decided_speech_seconds == decided.decided_speech_seconds
    # Scores go on after the decision as without it.
    assert [state.score for state in states] == [state.score for state in trail]


def test_another_voice_is_rejected(undecided, speech):
    test = replace(undecided.voices.sequential, reject=-0.01)
    verifiers = [
        VoiceBank(replace(undecided.voices, sequential=test)).verifier(name)
        for name in undecided.names
    ]
    decisions = {one.state.name: one.push(speech).decision for one in verifiers}
    assert decisions["v003"] == "undecided"
    assert [*decisions.values()].count("reject") >= 8


def test_what_cannot_be_heard_is_refused_and_changes_nothing(bank, speech):
    verifier, other = bank.verifier("v003"), bank.verifier("v003")
    verifier.push(speech[:9000])
    bad = speech[9000:9100].copy()
    bad[7] = np.nan
    with pytest.raises(DataError, match="number 9007 .counting from 0. is not"):
        verifier.push(bad)
    with pytest.raises(DataError, match=r"must have one axis \(mono\), got 2 axes"):
        verifier.push(np.zeros((5, 2)))
    assert verifier.push(speech[9000:20_000]) == other.push(speech[:20_000])
    verifier.flush()
    with pytest.raises(DataError, match="the stream has ended"):
        verifier.push(speech[:2000])
    with pytest.raises(AudioError, match="too short"):
        bank.verifier("v003").flush()
    silent = bank.verifier("v003")
    assert silent.push(np.zeros(32_000)).score is None
    with pytest.raises(AudioError, match="no speech"):
        silent.flush()
    with pytest.raises(ListError, match="'Nobody' is not enrolled"):
        bank.verifier("Nobody")


@pytest.mark.slow
def test_memory_does_not_grow_with_what_was_heard(bank, speech):
    verifier = bank.verifier("v003")
    verifier.push(speech)
    tracemalloc.start()
    try:
        verifier.push(speech)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            verifier.push(speech)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < speech.nbytes / 4  # thrice as much was heard


def test_thresholds_travel_with_the_bank(bank, speech, tmp_path):
    bank.save(tmp_path / "v.h5")
    opened = VoiceBank.open(tmp_path / "v.h5")
    assert opened.voices.sequential == bank.voices.sequential
    assert opened.verifier("v003").push(speech) == bank.verifier("v003").push(speech)
    told = describe(tmp_path / "v.h5")["sequential"]
    assert told["accept"] == bank.voices.sequential.accept
    assert told["achieved"]["miss"]["value"] == bank.voices.sequential.achieved.miss.value
    fewer = opened.remove("v007")
    assert fewer.voices.sequential == bank.voices.sequential


def test_a_bank_that_was_not_trained_for_it_says_how_to_get_there(bank, tmp_path):
    before = VoiceBank(replace(bank.voices, sequential=None))
    with pytest.raises(VoicegmmError, match="train them again .*--config voicegmm-16k-stream"):
        before.verifier("v003")
    before.save(tmp_path / "v.h5")
    assert VoiceBank.open(tmp_path / "v.h5").voices.sequential is None


def test_the_command_listens_until_it_knows(bank, voices, tmp_path, capsys):
    def typed(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["verify", str(tmp_path / "v.h5"), "v003", file, "--stream", *arguments])
        return stopped.value.code, capsys.readouterr().out

    bank.save(tmp_path / "v.h5")
    file = str(next((voices / "wavs/v003").glob("*.wav")))
    code, said = typed()
    assert code == 0
    assert said.startswith(("yes: ", "no: ", "undecided: "))
    code, said = typed("--json")
    assert code == 0
    assert json.loads(said)["decision"] in ("accept", "reject", "undecided")
    assert typed("--threshold", "1")[0] == 2
