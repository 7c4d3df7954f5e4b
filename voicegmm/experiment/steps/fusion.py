"""One system of several."""

from collections.abc import Mapping
from pathlib import Path

from voicegmm._base.errors import DataError
from voicegmm.scoring import (
    AlignedTables,
    FusionOptions,
    align_tables,
    fuse_tables,
    fused_held_out,
    learn_fusion_of,
    read_scores,
    write_scores,
)
from voicegmm.store import save_fusion


def fuse(
    scores: Mapping[str, Path],
    development: Mapping[str, Path],
    options: FusionOptions,
    out: Path,
) -> None:
    """Learn a fusion from the systems' development trials, and fuse their scores by it.

    Parameters
    ----------
    scores, development : mapping of str to path
        System -> its table.
    out : path
        The folder that gets fusion.h5, development.tsv and scores.tsv.
    """
    learned_from = _aligned(development)
    fusion = learn_fusion_of(learned_from, options)
    save_fusion(out / "fusion.h5", fusion)
    write_scores(out / "development.tsv", fused_held_out(learned_from, options))
    write_scores(out / "scores.tsv", fuse_tables(_aligned(scores), fusion))


def _aligned(tables: Mapping[str, Path]) -> AlignedTables:
    for path in tables.values():
        if not path.exists():
            raise DataError(
                f"{path} is missing: the system has no calibration, and a fusion is learned "
                "from its trials; see calibration.json beside it"
            )
    return align_tables([read_scores(path) for path in tables.values()], list(tables))
