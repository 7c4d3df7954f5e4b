"""The LFCC-GMM baseline of ASVspoof 2019 LA: two mixtures of greatest likelihood, and their t-DCF.

    python recipes/asvspoof2019/countermeasure.py --data LA --out RUN

writes RUN/classes.h5, as `voicegmm classify train` does, RUN/scores_<part>.tsv, and prints what
t_dcf.py does of it.
"""

import argparse
from pathlib import Path

import numpy as np
from prepare import BONAFIDE, SPOOF, read_part
from t_dcf import print_figures, read_verification

from voicegmm import VoiceClassifier
from voicegmm._base.errors import VoicegmmError
from voicegmm.bank import ClassifierOptions
from voicegmm.compute import available_cores
from voicegmm.corpus import Trials, Utterance, write_utterances
from voicegmm.features import Pipeline, load_front_end
from voicegmm.scoring import ScoreTable, score_classes, write_scores
from voicegmm.store import FeatureStore, extract_to_store


def train(data: Path, out: Path, n_components: int, n_workers: int) -> VoiceClassifier:
    """Train a mixture for each class, as the baseline does."""
    listed = out / "train.tsv"
    write_utterances(listed, absolute(read_part(data, "train")))
    options = ClassifierOptions(load_front_end("asvspoof-lfcc"), n_components)
    classifier = VoiceClassifier.train(listed, options, n_workers)
    classifier.save(out / "classes.h5")
    return classifier


def score(
    classifier: VoiceClassifier, tests: list[Utterance], out: Path, n_workers: int
) -> ScoreTable:
    """Score recordings: how much likelier a frame is if bona fide than if spoofed, in the mean."""
    models = classifier.classes.models
    store = out / "tests.h5"
    paths = {one.name: one.path for one in tests}
    extract_to_store(paths, Pipeline(models.front_end), store, n_workers)
    trials = Trials.of((BONAFIDE, one.name, int(one.label == BONAFIDE)) for one in tests)
    with FeatureStore(store) as frames:
        statuses = [frames.status(name) for name in trials.tests]
        usable = [name for name, one in zip(trials.tests, statuses, strict=True) if one.ok]
        by_class = score_classes(models, frames, usable, n_workers)
    ratios = by_class[:, models.names.index(BONAFIDE)] - by_class[:, models.names.index(SPOOF)]
    scores = np.full(len(trials), np.nan)
    scores[[one.ok for one in statuses]] = ratios
    return ScoreTable(
        trials,
        scores,
        tuple(one.status for one in statuses),
        tuple(one.reason for one in statuses),
    )


def run(data: Path, out: Path, part: str, n_components: int) -> None:
    """Train, score a part and print its figures; what can be missing is looked for before."""
    tests = read_part(data, part)
    read_verification(data, part)
    out.mkdir(parents=True, exist_ok=True)
    n_workers = available_cores()
    classifier = train(data, out, n_components, n_workers)
    table = score(classifier, tests, out, n_workers)
    write_scores(out / f"scores_{part}.tsv", table)
    print_figures(table, data, part)


def absolute(utterances: list[Utterance]) -> list[Utterance]:
    """Name the places of recordings in full, for a list that lies elsewhere."""
    return [Utterance(one.name, one.path.resolve(), one.speaker, label=one.label)
            for one in utterances]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder LA")
    parser.add_argument("--out", type=Path, required=True, help="a folder to write into")
    parser.add_argument("--part", choices=("dev", "eval"), default="eval")
    parser.add_argument("--components", type=int, default=512, help="of each class")
    options = parser.parse_args()
    try:
        run(options.data, options.out, options.part, options.components)
    except VoicegmmError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
