"""The scores of the trials."""

from pathlib import Path

from voicegmm._base.progress import Progress, counting
from voicegmm.corpus import Trials
from voicegmm.scoring import score_trials, write_scores
from voicegmm.store import FeatureStore, ScoreJournal, load_voices


def score(
    speakers: Path,
    features: Path,
    trials: Trials,
    segments: dict[str, tuple[str, ...]],
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Score trials into a table; each is scored or has the reason why not."""
    voices = load_voices(speakers)
    told = counting(progress, "scores", len(trials))
    with FeatureStore(features) as frames, ScoreJournal(out) as journal:
        table = score_trials(voices, frames, trials, segments, n_workers, told, keeper=journal)
        write_scores(out, table)
