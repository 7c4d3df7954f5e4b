"""What another processor changes: the same recipes by two of OpenBLAS' kernels."""

import json
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
FILES = {"trials": "scores.tsv", "development": "development.tsv"}
VECTORS = ("data.lists=lists", "data.recordings=wavs", "backend.rank=6")
RUNS = {
    "single": ("demo", SETTINGS),
    "double": ("demo", SETTINGS + DOUBLE),
    "vectors": ("ivector-cosine", SETTINGS + DOUBLE + VECTORS),
}

# Every run of a kernel in one process: the imports take longer than the work.
CHILD = """
import json, sys
from pathlib import Path
import voicegmm.experiment.steps.report as report
from voicegmm.compute.versions import linear_algebra
from voicegmm.experiment import load_recipe, run_recipe

report.write_report = lambda folder, *_: (folder / "report.html").touch()
corpus, out, runs = sys.argv[1:]
for name, (recipe, settings) in json.loads(runs).items():
    run_recipe(load_recipe(recipe, settings), Path(corpus), Path(out, name), shared=Path(out))
print(linear_algebra())
"""


@pytest.fixture(scope="module")
def runs(voices, tmp_path_factory):
    """Of each run its folders, one a kernel."""
    out = tmp_path_factory.mktemp("kernels")
    at_work = set()
    for kernel in KERNELS:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(voices), str(out / kernel), json.dumps(RUNS)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": kernel},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        at_work.add(child.stdout)
    if len(at_work) == 1:
        pytest.skip(f"numpy's products know no other kernel here: {at_work.pop().strip()}")
    return {name: [out / kernel / name for kernel in KERNELS] for name in RUNS}


def furthest(one, other, scale):
    return float(np.max(np.abs(one - other) / scale))


def differences(folders):
    """How far two runs are apart: variances, means in deviations, scores of the largest."""
    ubms = [load_background(folder / "ubm.h5").gmm for folder in folders]
    one, other = (gmm.variances for gmm in ubms)
    found = {"variances": furthest(one, other, one)}
    found["means"] = furthest(*(gmm.means for gmm in ubms), np.sqrt(one))
    found["weights"] = furthest(*(gmm.weights for gmm in ubms), ubms[0].weights)
    speakers = [load_voices(folder / "speakers.h5").speakers for folder in folders]
    if speakers[0].subspace:
        models = [each.models for each in speakers]
        found["speakers"] = furthest(*models, np.max(np.abs(models[0])))
        loadings = [each.subspace.factors.loadings for each in speakers]
        found["loadings"] = furthest(*loadings, np.max(np.abs(loadings[0])))
    else:
        found["speakers"] = furthest(*(each.means for each in speakers), np.sqrt(one))
    for name in ("trials", "development"):
        tables = [read_scores(folder / FILES[name]) for folder in folders]
        for what in ("scores", "llrs"):
            values = [getattr(table, what) for table in tables]
            found[f"{what} of {name}"] = furthest(*values, np.nanmax(np.abs(values[0])))
    return found


def test_single_precision_gives_about_what_the_refusal_of_workers_says(runs):
    found = differences(runs["single"])
    assert 1e-9 < found["variances"] < 1e-4  # the kernels do round otherwise
    assert max(found["scores of trials"], found["scores of development"]) < 1e-5


@pytest.mark.parametrize("name", ["double", "vectors"])
def test_double_precision_gives_one_result_on_all_processors(runs, name):
    found = differences(runs[name])
    # What scores mean is found by a search, which ends at a tolerance.
    ratios = [found.pop(f"llrs of {which}") for which in FILES]
    assert max(found.values()) < 1e-9, found
    assert max(ratios) < 1e-6
    first, second = ((folder / "features.h5").read_bytes() for folder in runs[name])
    assert first == second
