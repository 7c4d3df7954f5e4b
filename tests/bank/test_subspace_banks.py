"""Banks whose speakers are modeled in a subspace: all that other banks do, or a named refusal."""

import hashlib
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from voicegmm import VoiceBank
from voicegmm._base.errors import DataError, MismatchError, OptionError, VoicegmmError
from voicegmm.bank import BankOptions
from voicegmm.cli.commands import voicegmm as command
from voicegmm.mixture import EmOptions, InitialOptions, MapOptions
from voicegmm.scoring import (
    ScoreNormalizationOptions,
    ScoringOptions,
    SubspaceOptions,
    UbmOptions,
    load_backend,
)
from voicegmm.store import describe, find_traces, verify

ISV = BankOptions(
    n_components=16,
    n_folds=3,
    ubm=UbmOptions(1, InitialOptions(100, 3), EmOptions(4)),
    backend=SubspaceOptions("isv", rank=5, n_iterations=2),
    scoring=ScoringOptions("subspace"),
)
RATIOS = replace(ISV, scoring=ScoringOptions("top", normalization=ScoreNormalizationOptions("t")))
VECTORS = replace(
    ISV,
    backend=replace(load_backend("ivector-plda"), rank=20, n_iterations=2),
    scoring=ScoringOptions("subspace", normalization=ScoreNormalizationOptions("t")),
)


def test_options_that_do_not_go_together_are_refused(tmp_path):
    odd = tmp_path / "odd.toml"
    odd.write_text("[backend]\nmethod = 'isv'\nrank = -1\n")
    for make, message in (
        (lambda: BankOptions(backend=SubspaceOptions("ivector")), "must be one of subspace with"),
        (lambda: BankOptions(scoring=ScoringOptions("subspace")), "one of exact, top, linear, .*"),
        (lambda: replace(VECTORS, adaptation=MapOptions(relevance=3)), "adapts nothing"),
        (lambda: replace(ISV, adaptation=MapOptions(rule="fixed", alpha=0.5)), "'reynolds'"),
    ):
        with pytest.raises(OptionError, match=message):
            make()
    for arguments, message in (
        (["--rank", "3"], "--rank goes with a --backend other than map"),
        (["--backend", "isw"], "no preset is called 'isw' (did you mean 'isv'?)"),
        (["--backend", "gmm-ubm"], "gmm-ubm: has no table [backend]"),
        (["--method", "subspace"], "scoring.method must be one of exact, top, linear"),
        (["--backend", "isv", "--method", "kl"], "must be one of subspace, exact, top with"),
        (["--method", "exat"], "method must be one of exact"),
        (["--backend", str(odd)], f"rank must be at least 0, got -1 ({odd}: backend.rank)"),
    ):
        result = CliRunner().invoke(command, ["train", "x", "-o", "x.h5", *arguments])
        assert result.exit_code in (1, 2)
        assert message in result.output + str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [ISV, RATIOS, VECTORS], ids=["isv", "isv-top-t", "ivector-plda-t"]
)
def test_a_bank_in_a_subspace(options, speaker_folders, tmp_path):
    known, background = speaker_folders / "known", speaker_folders / "background"
    bank = VoiceBank.train(
        known, options, background, n_workers=2, enrolled_at="2026-01-31T12:00:00Z"
    )
    assert bank.calibrated
    assert bank.voices.expected["eer"].value < 0.4
    assert bank.voices.sequential is None
    path = tmp_path / "voices.h5"
    bank.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert describe(path)["backend"]["backend"] == options.backend.method
    assert any("the content fits the fingerprint" in line for line in verify(path))
    opened = VoiceBank.open(path)
    file, second, third = sorted((background / "b001").glob("*.wav"))[:3]
    answer, again = bank.identify(file), opened.identify(file)
    assert answer == again
    assert [one.llr for one in answer.ranking] == sorted(
        (one.llr for one in answer.ranking), reverse=True
    )

    # A new speaker, then more of it: no old recording is needed.
    first = opened.enroll("new", [file], 0.0, enrolled_at="2026-02-01T12:00:00Z")
    more = first.enroll("new", [second], 0.0)
    both = opened.enroll("new", [file, second], 0.0)
    scores = [one.verify("new", third) for one in (more, both)]
    assert scores[0].score == pytest.approx(scores[1].score, rel=1e-3, abs=1e-3)
    assert len(more.voices.speakers.records["new"]) == 2
    assert more.voices.promise.n_enrolled == 13
    assert "new" in [one.name for one in more.identify(third).ranking[:4]]
    with pytest.raises(VoicegmmError, match="all of these already"):
        more.enroll("new", [second])
    gone = more.remove("new", "2026-02-02T12:00:00Z")
    # Its recordings are among those that trained the subspace, which says so, and not which.
    heard = {hashlib.sha256(one.read_bytes()).hexdigest() for one in (file, second)}
    assert heard < set(opened.voices.speakers.subspace.contents)
    assert gone.voices.removals[-1].in_subspace is True
    assert not heard & set(gone.voices.speakers.subspace.contents)
    traces = find_traces([tmp_path], heard).found
    assert ("subspace", 2) in {(one.what, one.n_recordings) for one in traces}
    assert gone.names == opened.names
    assert gone.voices.speakers.fingerprint == opened.voices.speakers.fingerprint

    with pytest.raises(MismatchError, match="still speaking takes a mixture of each speaker"):
        opened.verifier(opened.names[0])
    with pytest.raises(MismatchError, match="explanation takes a mixture of each speaker"):
        opened.explain(opened.names[0], file)


@pytest.mark.slow
def test_one_recording_a_speaker_is_refused_with_the_remedy(speaker_folders, tmp_path):
    for folder in sorted((speaker_folders / "known").iterdir()):
        (tmp_path / "few" / folder.name).mkdir(parents=True)
        shutil.copy(next(folder.glob("*.wav")), tmp_path / "few" / folder.name)
    with pytest.raises(DataError, match="'isv' cannot be trained on .* or more, or take 'map'"):
        VoiceBank.train(tmp_path / "few", ISV)
