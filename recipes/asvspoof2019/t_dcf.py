"""The figures of ASVspoof 2019 LA of a countermeasure's scores: EER, and t-DCF with its own ASV.

python recipes/asvspoof2019/t_dcf.py RUN/scores.tsv --data LA --part eval
"""

import argparse
from pathlib import Path

import numpy as np

from voicegmm._base.errors import ListError, VoicegmmError
from voicegmm.corpus.lists import each_line
from voicegmm.metrics import TandemOptions, eer, min_t_dcf
from voicegmm.scoring import ScoreTable, read_scores

KEYS = ("target", "nontarget", "spoof")


def read_verification(data: Path, part: str) -> dict[str, np.ndarray]:
    """Read the scores of the organizers' verification: lines of ``attack key score``.

    Returns
    -------
    dict of str to array
        By key: target, nontarget, spoof.

    Raises
    ------
    ListError
        Naming the line that does not fit, or the key that no line has.
    """
    inner = data / "LA" if (data / "LA").is_dir() else data
    path = inner / f"ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.{part}.gi.trl.scores.txt"
    found: dict[str, list[float]] = {key: [] for key in KEYS}
    for number, line in each_line(path):
        fields = line.split()
        try:
            _, key, score = fields
            found[key].append(float(score))
        except (ValueError, KeyError):
            raise ListError(
                f"{path}: line {number}: expected attack, {', '.join(KEYS)} and a score, got "
                f"{line!r}"
            ) from None
    for key in KEYS:
        if not found[key]:
            raise ListError(f"{path}: there is no score of a {key} trial")
    return {key: np.array(scores) for key, scores in found.items()}


def figures(table: ScoreTable, verification: dict[str, np.ndarray]) -> dict[str, float]:
    """Measure a countermeasure: its own EER, and the least cost of the tandem, in both forms.

    A recording without a score is taken for a spoof, as a system in use would have to.
    """
    scores = np.where(table.scored, table.best, -np.inf)
    humans, spoofs = (scores[table.trials.labels == label] for label in (1, 0))
    tandem = [verification[key] for key in KEYS]
    return {
        "eer": eer(humans, spoofs),
        "eer_asv": eer(tandem[0], tandem[1]),
        "min_t_dcf_legacy": min_t_dcf(*tandem, humans, spoofs, TandemOptions(form="legacy")),
        "min_t_dcf_revised": min_t_dcf(*tandem, humans, spoofs, TandemOptions()),
    }


def print_figures(table: ScoreTable, data: Path, part: str) -> None:
    """Print them; the legacy form is the one of the challenge."""
    found = figures(table, read_verification(data, part))
    failed = int((~table.scored).sum())
    print(f"{part}: {len(table)} recordings, {failed} without a score, taken for spoofs")
    print(f"EER of the countermeasure       {100 * found['eer']:.2f} %")
    print(f"EER of the verification         {100 * found['eer_asv']:.2f} %")
    print(f"min t-DCF, legacy (2019)        {found['min_t_dcf_legacy']:.4f}")
    print(f"min t-DCF, revised              {found['min_t_dcf_revised']:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path, help="of voicegmm run or countermeasure.py")
    parser.add_argument("--data", type=Path, required=True, help="the folder LA")
    parser.add_argument("--part", choices=("dev", "eval"), default="eval")
    options = parser.parse_args()
    try:
        print_figures(read_scores(options.scores), options.data, options.part)
    except VoicegmmError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
