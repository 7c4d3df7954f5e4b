"""Explanations of scores as files: a table, or a figure."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voicegmm.cli.console import check_output

if TYPE_CHECKING:
    from voicegmm.scoring import Explanation, FrameLibrary, ScoreTable
    from voicegmm.scoring.models import Speakers

_TABLE, _FIGURES = ".tsv", (".png", ".svg")
_MOST = 200  # trials that are explained at once


def check_explanation(out: Path, *inputs: Path) -> None:
    """Refuse a file that no explanation can be written to."""
    from voicegmm._base.errors import OptionError

    if out.suffix.lower() not in (_TABLE, *_FIGURES):
        raise OptionError(
            f"an explanation's file must end in {_TABLE}, {' or '.join(_FIGURES)}, got {out.name!r}"
        )
    check_output(out, *inputs)


def save_explanation(out: Path, explanation: "Explanation", title: str) -> None:
    """Write an explanation: a table of frames, or a figure of seconds, as the suffix says."""
    from voicegmm.plots import evidence, save
    from voicegmm.scoring import write_explanation

    if out.suffix.lower() == _TABLE:
        write_explanation(out, explanation)
    else:
        span = explanation.span_seconds
        save(evidence(*explanation.over_time(span), span, title=title), out)


def check_explanations(folder: Path, n_trials: int) -> None:
    """Make the folder for the explanations of a list of trials; refuse a long list.

    Raises
    ------
    VoicegmmError
        If there are too many trials, or the folder cannot be made.
    """
    from voicegmm._base.errors import VoicegmmError

    if n_trials > _MOST:
        raise VoicegmmError(
            f"--explain writes two files a trial, and there are {n_trials}; give a list of at "
            f"most {_MOST} that are worth a look"
        )
    if folder.exists() and not folder.is_dir():
        raise VoicegmmError(f"{folder} is a file; --explain takes a folder")
    folder.mkdir(parents=True, exist_ok=True)


def explain_table(
    folder: Path,
    models: "Speakers",
    frames: "FrameLibrary",
    table: "ScoreTable",
    segments: Mapping[str, tuple[str, ...]],
) -> None:
    """Explain each scored trial: its line in the table is in the names of its two files."""
    from voicegmm.scoring import explain_trial

    trials = table.trials
    for number in table.scored.nonzero()[0].tolist():
        model = trials.models[trials.model_index[number]]
        test = trials.tests[trials.test_index[number]]
        found = explain_trial(models, model, frames, segments.get(test, (test,)))
        plain = re.sub(r"[^\w.-]+", "_", f"{number + 1:03d}_{model}_{Path(test).stem}")
        for suffix in (_TABLE, ".svg"):
            title = f"Evidence that {model} speaks in {test}"
            save_explanation(folder / f"{plain[:120]}{suffix}", found, title)
