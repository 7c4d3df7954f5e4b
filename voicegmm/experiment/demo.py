"""The demonstration: a corpus of artificial voices, and the recipe that runs on it."""

from dataclasses import replace
from pathlib import Path

from voicegmm._base.progress import Progress, silent
from voicegmm.experiment.recipe import load_recipe
from voicegmm.experiment.run import RunResult, run_recipe
from voicegmm.synthesis import CorpusOptions, write_corpus


def run_demo(
    out: Path,
    seed: int = 0,
    n_workers: int = 1,
    progress: Progress = silent,
    corpus: CorpusOptions | None = None,
) -> RunResult:
    """Make artificial voices and run the recipe "demo" on them.

    Parameters
    ----------
    out : path
        Gets the folders ``corpus`` (WAV folders and lists) and ``run`` (a run folder).
    seed : int
        Of the voices.
    n_workers : int
    progress : callable
        See `voicegmm._base.progress`.
    corpus : CorpusOptions, optional
        Another corpus than the usual one; its seed is replaced.

    Returns
    -------
    RunResult
    """
    options = replace(corpus or CorpusOptions(), seed=seed)
    write_corpus(
        out / "corpus", options, lambda done, total: progress("artificial voices", done, total)
    )
    return run_recipe(load_recipe("demo"), out / "corpus", out / "run", n_workers, progress)
