"""What another processor changes: the same recipe by two of OpenBLAS' kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voicegmm.scoring import read_scores
from voicegmm.store import load_background, load_voices

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KERNELS = ("Haswell", "Sandybridge")
SETTINGS = (
    "ubm.n_components=16", "ubm.em.n_iterations=10", "ubm.em.tolerance=0",
    "calibration.n_folds=2", "evaluation.n_bootstrap=10",
)  # fmt: skip
DOUBLE = ("features.static.precision=double", "ubm.precision=double")

# Every run of a kernel in one process: the imports take longer than the work.
CHILD = """
import sys
from pathlib import Path
import voicegmm.experiment.steps.report as report
from voicegmm.compute.versions import linear_algebra
from voicegmm.experiment import load_recipe, run_recipe

report.write_report = lambda folder, *_: (folder / "report.html").touch()
corpus, out, *settings = sys.argv[1:]
for name, given in (("single", []), ("double", settings[-2:])):
    run_recipe(load_recipe("demo", settings[:-2] + given), Path(corpus), Path(out, name))
print(linear_algebra())
"""


@pytest.fixture(scope="module")
def runs(voices, tmp_path_factory):
    """Folders of runs, by kernel and precision."""
    out = tmp_path_factory.mktemp("kernels")
    at_work = set()
    for kernel in KERNELS:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(voices), str(out / kernel), *SETTINGS, *DOUBLE],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": kernel},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        at_work.add(child.stdout)
    if len(at_work) == 1:
        pytest.skip(f"numpy's products know no other kernel here: {at_work.pop().strip()}")
    return {
        precision: [out / kernel / precision for kernel in KERNELS]
        for precision in ("single", "double")
    }


def furthest(one, other, scale):
    return float(np.max(np.abs(one - other) / scale))


def differences(folders):
    """How far two runs are apart: variances, means in deviations, scores of the largest."""
    ubms = [load_background(folder / "ubm.h5").gmm for folder in folders]
    one, other = (gmm.variances for gmm in ubms)
    found = {"variances": furthest(one, other, one)}
    found["means"] = furthest(*(gmm.means for gmm in ubms), np.sqrt(one))
    found["weights"] = furthest(*(gmm.weights for gmm in ubms), ubms[0].weights)
    speakers = [load_voices(folder / "speakers.h5").speakers.means for folder in folders]
    found["speakers"] = furthest(*speakers, np.sqrt(one))
    for name in ("scores", "development"):
        tables = [read_scores(folder / f"{name}.tsv") for folder in folders]
        scores = [table.scores for table in tables]
        found[name] = furthest(*scores, np.nanmax(np.abs(scores[0])))
    return found


def test_double_precision_gives_one_result_on_all_processors(runs):
    single, double = differences(runs["single"]), differences(runs["double"])
    assert single["variances"] > 1e-9  # the kernels do round otherwise
    assert max(double[name] for name in ("variances", "means", "weights")) < 1e-9
    assert max(double.values()) < 1e-6
    # What `WHAT_ROUNDING_CHANGES` says of single precision, and ten times that.
    assert single["variances"] < 1e-4
    assert max(single["scores"], single["development"]) < 1e-5
    first, second = ((folder / "features.h5").read_bytes() for folder in runs["double"])
    assert first == second
