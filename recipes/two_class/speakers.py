"""The speakers of speechocean762 that train and those that test, with gender and recordings."""

import csv
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from voicegmm.corpus import Protocol, by_speaker, read_kaldi_table

sys.path.append(str(Path(__file__).parents[1] / "speechocean762"))

from prepare import prepare


@dataclass(frozen=True)
class Speaker:
    """One speaker: which part, gender, recordings."""

    name: str
    part: str
    gender: str
    files: tuple[Path, ...]


def speakers(data: Path) -> list[Speaker]:
    """Read the 67 adults who train ("train") and the 61 who test ("test"), ten recordings each."""
    with tempfile.TemporaryDirectory() as lists:
        prepare(data, Path(lists))
        protocol = Protocol.read(Path(lists), data)
    gender = genders(data)
    background = set(by_speaker(protocol.background))
    return [
        Speaker(
            name,
            "train" if name in background else "test",
            gender[name],
            tuple(protocol.paths[file].resolve() for file in files),
        )
        for name, files in sorted(by_speaker(sorted(protocol.paths)).items())
    ]


def genders(data: Path) -> dict[str, str]:
    """Read who is a woman (f) and who a man (m)."""
    if (data / "metadata.tsv").is_file():
        with (data / "metadata.tsv").open(encoding="utf-8", newline="") as table:
            return {row["speaker"]: row["gender"] for row in csv.DictReader(table, delimiter="\t")}
    tables = [read_kaldi_table(data / part / "spk2gender") for part in ("train", "test")]
    return tables[0] | tables[1]
