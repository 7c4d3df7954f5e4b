"""What scores mean, learned from background speakers."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from voicegmm._base.files import write_text
from voicegmm._base.options import to_mapping
from voicegmm._base.progress import Progress
from voicegmm.corpus import Enrollment, by_speaker
from voicegmm.scoring import Calibration, SpeakerOptions, UbmOptions, calibrate, write_scores
from voicegmm.store import FeatureStore


def learn(
    features: Path,
    others: Sequence[Path],
    files: Sequence[str],
    options: SpeakerOptions,
    ubm: UbmOptions,
    seed: int,
    enrollments: Sequence[Enrollment],
    out: Path,
    development: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Learn a calibration from the folds of the background speakers, and keep their trials.

    The folds are drawn from what is usable, here and in the stores of `others`: systems that are
    fused must draw the same.
    """
    with ExitStack() as held:
        frames = held.enter_context(FeatureStore(features))
        stores = [held.enter_context(FeatureStore(path)) for path in others]
        usable = [file for file in files if all(store.status(file).ok for store in stores)]
        found = calibrate(
            frames,
            by_speaker(usable),
            options,
            ubm,
            seed,
            enrollments,
            n_workers,
            lambda done, total: progress("calibration", done, total),
        )
    development.unlink(missing_ok=True)
    if found.development:
        write_scores(development, found.development)
    learned = to_mapping(found.calibration) if found.calibration else None
    known = {"calibration": learned, "reason": found.reason}
    write_text(out, json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def read_learned(path: Path) -> tuple[Calibration | None, str]:
    """Read a calibration, and why there is none."""
    found = json.loads(path.read_text("utf-8"))
    return msgspec.convert(found["calibration"], Calibration | None), found["reason"]
