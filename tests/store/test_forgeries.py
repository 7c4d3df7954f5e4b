"""Wrong content under good seals and fingerprints: something sound, or one error.

100 variants, each of which is saved again and scored by; VOICEGMM_FUZZ=10000 asks for 1,000.
"""

import os
import zipfile
from hashlib import sha256

import numpy as np
import pytest
from test_fuzzing import DATA, fuzz, shared_out
from test_store_classes import FRONT_END, judged_classes

from voicegmm.corpus import Enrollment
from voicegmm.features import FrameSet
from voicegmm.mixture import DiagonalGMM, accumulate, sample
from voicegmm.scoring import (
    BackgroundModel,
    Calibration,
    MemoryFrames,
    ScoreNormalizationOptions,
    ScoringOptions,
    SpeakerOptions,
    SubspaceOptions,
    make_voices,
    train_subspace,
)
from voicegmm.scoring.fusion import Fusion, QualityEffect
from voicegmm.store import load, save
from voicegmm.subspace import BackEndOptions, LdaOptions, PldaOptions

N_VARIANTS = int(os.environ.get("VOICEGMM_FUZZ", "1000")) // 10
VECTORS = BackEndOptions(lda=LdaOptions(2), plda=PldaOptions(n_iterations=2))
BACK_ENDS = {
    "isv": SubspaceOptions("isv", rank=2, n_iterations=1),
    "jfa": SubspaceOptions("jfa", rank=2, speaker_rank=2, n_iterations=1),
    "ivector": SubspaceOptions("ivector", rank=3, n_iterations=1, vectors=VECTORS),
}


def small_world():
    """Give a background model and the frames of eight speakers of three recordings each."""
    rng = np.random.default_rng(3)
    gmm = DiagonalGMM(np.full(3, 1 / 3), 2 * rng.standard_normal((3, 4)), np.ones((3, 4)))
    sets, recordings = {}, {}
    for number in range(8):
        voice = 0.5 * rng.standard_normal((3, 4))
        recordings[f"s{number}"] = [f"s{number}/{take}" for take in range(3)]
        for file in recordings[f"s{number}"]:
            moved = gmm.means + voice + 0.2 * rng.standard_normal((3, 4))
            frames = sample(DiagonalGMM(gmm.weights, moved, gmm.variances), 60, rng)[0]
            rows = frames.astype(np.float32), np.ones(60, np.float32), np.arange(60)
            sets[file] = FrameSet(*rows, 60, 0.01, content=sha256(file.encode()).hexdigest())
    return BackgroundModel(gmm, FRONT_END), MemoryFrames(FRONT_END, sets), recordings


def write_subspaces(folder):
    """Write a bank in each kind of subspace, with a cohort, and what it is made of."""
    background, frames, recordings = small_world()
    names = list(recordings)
    others = {name: recordings[name] for name in names[:5]}
    earnest = [Enrollment(name, tuple(recordings[name][:2])) for name in names[5:]]
    normalization = ScoreNormalizationOptions("s")
    scoring = ScoringOptions("subspace", normalization=normalization)
    for name, options in BACK_ENDS.items():
        found = train_subspace(background, frames, others, options)
        speakers = SpeakerOptions(scoring=scoring, backend=options, min_enroll_seconds=0.1)
        judged = Calibration(2.0, -0.5, 9, 90), ""
        voices = make_voices(background, frames, earnest, others, speakers, judged, subspace=found)
        assert voices.cohort is not None
        assert len(voices.speakers.ids) == 3
        save(folder / f"voices {name}.h5", voices)
        save(folder / f"subspace {name}.h5", found)
        save(folder / f"factors {name}.h5", found.factors)
        if found.back_end:
            save(folder / "back end.h5", found.back_end)


def write_models(folder):
    """Write a file of each other kind."""
    with zipfile.ZipFile(DATA / "version_1.zip") as archive:
        for name in ("speakers.h5", "ubm.h5"):
            archive.extract(name, folder / "old")
            save(folder / name, load(folder / "old" / name))
    save(folder / "classes.h5", judged_classes())
    quality = (QualityEffect("snr", 0.5, 2.0, 10.0),)
    fusion = Fusion((1.0, 0.5), -0.25, ("a", "b"), (True, False), 30, 300, quality=quality)
    save(folder / "fusion.h5", fusion)
    gmm = DiagonalGMM([0.5, 0.5], np.zeros((2, 3)), np.ones((2, 3)))
    save(folder / "statistics.h5", accumulate(gmm, np.ones((3, 3))))


@pytest.mark.slow
def test_forged_files(tmp_path):
    write_subspaces(tmp_path)
    write_models(tmp_path)
    files = [("forged", path) for path in sorted(tmp_path.glob("*.h5"))]
    assert fuzz(shared_out(files, N_VARIANTS)) == []
