"""The figures of a point: of its own scores, tested against the baseline on the same trials."""

import json

import numpy as np
import pytest

from voicegmm._base.errors import VoicegmmError
from voicegmm.corpus import Trials
from voicegmm.experiment.sweep_figures import Measurement, measure, measured
from voicegmm.metrics import eer
from voicegmm.scoring import ScoreTable, write_scores
from voicegmm.scoring.evaluation import EvaluationOptions

FEW = EvaluationOptions(n_bootstrap=50)
NONE = EvaluationOptions(n_bootstrap=0)


def _point(folder, distance, seed=0, n_speakers=8, name="development.tsv"):
    """A run folder with scores: every speaker against three tests of every speaker."""
    folder.mkdir(exist_ok=True)
    trials = Trials.of(
        (f"s{model}", f"s{voice}-{take}.wav", int(model == voice))
        for model in range(n_speakers)
        for voice in range(n_speakers)
        for take in range(3)
    )
    rng = np.random.default_rng(seed)
    scores = rng.normal(distance * (trials.labels == 1))
    n = len(scores)
    write_scores(folder / name, ScoreTable(trials, scores, ("ok",) * n, ("",) * n, 3 * scores))
    return scores[trials.labels == 1], scores[trials.labels == 0]


def _measurement(tmp_path, baseline=True, evaluation=FEW, **more):
    against = ("base", tmp_path / "base") if baseline else None
    given = {"on": "background", "ratios": False} | more
    return Measurement("point", tmp_path / "point", against, evaluation=evaluation, **given)


def test_a_point_is_measured_once_and_again_when_its_scores_change(tmp_path):
    base, scores = _point(tmp_path / "base", 1.0), _point(tmp_path / "point", 2.0, seed=1)
    what = _measurement(tmp_path)
    assert measured(what) is None
    found = measure(what)
    assert found["metrics"]["eer"]["value"] == pytest.approx(eer(*scores))
    difference = found["comparison"]["metrics"]["eer"]["difference"]
    assert difference == pytest.approx(eer(*scores) - eer(*base))
    assert "cllr" not in found["metrics"]
    assert "cllr" not in found["comparison"]["metrics"]
    assert measured(what) == found
    _point(tmp_path / "base", 1.5, seed=2)
    assert measured(what) is None
    assert measure(_measurement(tmp_path, baseline=False))["comparison"] is None


def test_of_the_recipes_trials_the_run_has_the_figures(tmp_path):
    for name in ("base", "point"):
        _point(tmp_path / name, 2.0, name="scores.tsv")
    (tmp_path / "point/results.json").write_text(json.dumps({"metrics": {"eer": "as it stands"}}))
    found = measure(_measurement(tmp_path, on="trials", ratios=True))
    assert found["metrics"] == {"eer": "as it stands"}
    assert found["comparison"]["metrics"]["cllr"]["difference"] == 0


@pytest.mark.parametrize(
    ("evaluation", "n_speakers", "said"),
    [(NONE, 8, "n_bootstrap is 0"), (FEW, 7, "lacks 45 of 192 trials"), (FEW, 8, "")],
)
def test_why_a_point_is_not_compared(tmp_path, evaluation, n_speakers, said):
    _point(tmp_path / "base", 1.0)
    _point(tmp_path / "point", 1.0, n_speakers=n_speakers)
    found = measure(_measurement(tmp_path, evaluation=evaluation))
    assert said in found["not_compared"]
    assert (found["comparison"] is None) == bool(said)


def test_a_point_without_scores_says_why(tmp_path):
    (tmp_path / "point").mkdir()
    with pytest.raises(VoicegmmError, match=r"development.tsv is missing: the run made none"):
        measure(_measurement(tmp_path))
    (tmp_path / "point/calibration.json").write_text('{"reason": "too few speakers"}')
    with pytest.raises(VoicegmmError, match="there is no calibration: too few speakers"):
        measure(_measurement(tmp_path))
