"""Work on a feature store gives the same bits where it goes: packed, and unpacked by a worker."""

import pickle

import numpy as np
import pytest

from voicegmm._base.errors import MismatchError
from voicegmm.compute import ComputeOptions, engine
from voicegmm.compute.parcels import parcel, work_on
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import DeltaOptions, FrameSet, Pipeline, PipelineOptions
from voicegmm.mixture import EmOptions, InitialOptions, MapOptions
from voicegmm.mixture.fast import FastOptions
from voicegmm.scoring import ScoringOptions, UbmOptions, enroll, score_trials, train_background
from voicegmm.scoring.voices import Voices
from voicegmm.store import FeatureStore
from voicegmm.store.features import new_store

FILES = [f"{name}/{number}" for name in "abc" for number in range(3)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "features.h5"
    pipeline = Pipeline(PipelineOptions(deltas=DeltaOptions(order=0)))
    rng = np.random.default_rng(0)
    with new_store(path, pipeline) as writer:
        for number, file in enumerate(FILES):
            n = 4000 + 100 * number  # two work items in all
            frames = rng.normal(number % 3, 1, (n, pipeline.n_dims)).astype(np.float32)
            weights = rng.uniform(0.5, 1, n).astype(np.float32)
            writer.add(file, FrameSet(frames, weights, np.arange(n), n, 0.01, file))
    return path


@pytest.fixture
def travels(monkeypatch, tmp_path):
    """Let processes be this one, which gets all it works on pickled; tell what they were given."""
    seen = []

    def by_ourselves(function, items, n_workers, scratch):
        with parcel(function, scratch) as sent:
            seen.append(type(function).__name__)
            for item in items:
                packed = pickle.dumps(item)
                assert len(packed) + len(sent.content) < 50_000  # descriptors, and no frames
                yield pickle.loads(pickle.dumps(work_on(sent, packed)))

    monkeypatch.setattr("voicegmm.compute.mapping.map_by_processes", by_ourselves)
    with engine(ComputeOptions("processes"), tmp_path):
        yield seen
    assert list(tmp_path.iterdir()) == []


def chain(path, method, fast):
    """Train, enroll and score."""
    em = EmOptions(n_iterations=4, tolerance=0)
    options = UbmOptions(
        16, InitialOptions(), em, FastOptions(method=fast, grow_from=16, n_near=3, all_near=0)
    )
    with FeatureStore(path) as frames:
        background, fitted = train_background(frames, FILES, options, 0, 2)
        speakers = [Enrollment(name, (f"{name}/0", f"{name}/1")) for name in "abc"]
        models, _ = enroll(background, frames, speakers, MapOptions(), 2)
        trials = Trials.of((name, f"{test}/2", -1) for name in "abc" for test in "abc")
        scoring = ScoringOptions(
            method=method, length_normalization=method in ("exact", "symmetric")
        )
        table = score_trials(Voices(models, scoring=scoring), frames, trials, n_workers=2)
    losses = [(line.log_likelihood, line.loss, line.loss_error) for line in fitted.iterations]
    return background.gmm.means, background.gmm.variances, models.means, losses, table.scores


@pytest.mark.parametrize(
    ("method", "fast"),
    [("exact", "dense"), ("top", "dense"), ("linear", "dense"), ("symmetric", "fast")],
)
def test_the_whole_chain_gives_the_same_bits_elsewhere(path, method, fast, request, monkeypatch):
    # Small, and yet by the compiled loops, which fast EM is made of.
    monkeypatch.setattr("voicegmm.mixture.density.FUSED_FROM", 0)
    monkeypatch.setattr("voicegmm.mixture.fast.training._DENSE_UP_TO", 1)
    here = chain(path, method, fast)
    seen = request.getfixturevalue("travels")
    there = chain(path, method, fast)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)
    passes = {"_GroupedPass", "_ShortPass", "_FullPass"} if fast == "fast" else {"_Work"}
    assert set(seen) == passes | {"_EachWork", "_Work"}


def test_a_store_that_changed_on_its_way_is_named(path, tmp_path):
    with FeatureStore(path) as store:
        sent = pickle.dumps(store)
    opened = pickle.loads(sent)
    assert opened.ids == tuple(FILES)
    opened.close()
    moved = sent.replace(bytes(path.name, "ascii"), b"features.xy")
    with pytest.raises(MismatchError, match=r"features.xy: the worker on .*shared file system"):
        pickle.loads(moved)
