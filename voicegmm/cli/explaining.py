"""Explanations of scores as files: a table, or a figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from voicegmm.cli.console import check_output

if TYPE_CHECKING:
    from voicegmm.scoring import Explanation

_TABLE, _FIGURES = ".tsv", (".png", ".svg")


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
        save(evidence(*explanation.over_time(), title=title), out)
