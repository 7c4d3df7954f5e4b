"""Choose options on the background speakers alone: cross-validation, no trial speaker is heard.

    python recipes/speechocean762/cross_validate.py --data DIR [--data DEGRADED] [--seeds 4] \
        [--set features.normalization.method=mean] [--set scoring.normalization.method=s] \
        [--recipe recommended]

The 67 background speakers are cut into five folds. In each, the background model (and the cohort,
if scores are normalized) is of the others; the fold's speakers are enrolled from four sentences
each and tried with six, against the models of their gender. The systems of a fused recipe are
fused, trial by trial, by what the trials of other speakers teach. Prints the ROCCH-EER of all folds
together, for each condition: the first DIR must tell the genders (`metadata.tsv`, or
`train/spk2gender`).
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from prepare import N_ENROLL, prepare

from voicegmm._base.arrays import BoolArray
from voicegmm.compute import available_cores
from voicegmm.corpus import Protocol, by_speaker, read_kaldi_table
from voicegmm.experiment import FusedRecipe, Recipe, load_recipe
from voicegmm.features import Pipeline
from voicegmm.metrics import eer
from voicegmm.scoring import FoldOptions, Rehearsal, fuse_held_out, rehearse
from voicegmm.store import FeatureStore, extract_to_store

RECIPE = Path(__file__).with_name("recipe.toml")


def genders(data: Path) -> dict[str, str]:
    """Read who is a woman and who is a man."""
    if (data / "metadata.tsv").is_file():
        with (data / "metadata.tsv").open(encoding="utf-8", newline="") as table:
            return {row["speaker"]: row["gender"] for row in csv.DictReader(table, delimiter="\t")}
    return read_kaldi_table(data / "train" / "spk2gender")


def rehearsed(recipe: Recipe, data: Path, seeds: Sequence[int], n_workers: int) -> list[Rehearsal]:
    """Give the folds' trials in one condition, for each seed of folds and background models."""
    with tempfile.TemporaryDirectory() as work:
        prepare(data, Path(work))
        protocol = Protocol.read(Path(work), data)
        paths = {file: protocol.paths[file] for file in protocol.background}
        store = Path(work, "features.h5")
        extract_to_store(paths, Pipeline(recipe.features), store, n_workers)
        with FeatureStore(store) as frames:
            return [
                rehearse(
                    frames,
                    by_speaker(protocol.background),
                    FoldOptions(n_enroll=N_ENROLL),
                    recipe.ubm,
                    recipe.adaptation,
                    seed,
                    n_workers=n_workers,
                    scoring=recipe.scoring,
                    backend=recipe.backend,
                )
                for seed in seeds
            ]


def same_gender(found: Rehearsal, gender: dict[str, str]) -> BoolArray:
    """Tell which trials count: those of a model and a voice of one gender."""
    names = np.array([gender[name] for name in found.speakers])
    same: BoolArray = names[found.model] == names[found.voice]
    return same & (found.targets | found.nontargets)


def cross_validate(
    recipe: Recipe, data: Path, gender: dict[str, str], seeds: Sequence[int], n_workers: int
) -> list[float]:
    """Give the EER of one condition for each seed of folds and background models."""
    rates = []
    for found in rehearsed(recipe, data, seeds, n_workers):
        used = same_gender(found, gender)
        scores, target = found.scores[used], found.targets[used]
        rates.append(eer(scores[target], scores[~target]))
    return rates


def cross_validate_fused(
    recipe: FusedRecipe, data: Path, gender: dict[str, str], seeds: Sequence[int], n_workers: int
) -> list[float]:
    """Do so for systems that are fused by what the trials of other speakers teach."""
    systems = [rehearsed(one, data, seeds, n_workers) for one in recipe.systems.values()]
    rates = []
    for found in zip(*systems, strict=True):
        first = found[0]
        if any(one.files != first.files for one in found):
            raise SystemExit("the systems cannot use the same recordings: their folds differ")
        used = same_gender(first, gender)
        target = first.targets[used]
        matrix = np.column_stack([one.scores[used] for one in found])
        voices = first.model[used], first.voice[used]
        fused = fuse_held_out(matrix, target, *voices, recipe.fusion)
        rates.append(eer(fused[target], fused[~target]))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", required=True, help="a condition")
    parser.add_argument("--recipe", default=str(RECIPE), help="another recipe than the plain one")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    recipe = load_recipe(options.recipe, options.settings).recipe
    gender = genders(options.data[0])
    for data in options.data:
        given = data, gender, range(options.seeds), available_cores()
        if isinstance(recipe, FusedRecipe):
            found = cross_validate_fused(recipe, *given)
        else:
            found = cross_validate(recipe, *given)
        each = ", ".join(f"{100 * value:.2f}" for value in found)
        print(f"{data.name}: EER {100 * np.mean(found):.2f} % (by seed: {each})", flush=True)


if __name__ == "__main__":
    main()
