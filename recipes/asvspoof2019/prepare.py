"""The lists of ASVspoof 2019 LA: which recordings are bona fide and which are spoofed.

For `voicegmm run` the bona fide ones are a model that is adapted from the spoofed ones. As a
command it writes lists for `voicegmm classify`, with a class for each recording:

    python recipes/asvspoof2019/prepare.py --data LA --out LISTS
"""

import argparse
from dataclasses import replace
from pathlib import Path

from voicegmm._base.errors import ListError, VoicegmmError
from voicegmm.corpus import (
    Enrollment,
    Trials,
    Utterance,
    write_enrollments,
    write_files,
    write_paths,
    write_trials,
    write_utterances,
)
from voicegmm.corpus.lists import read_lines

BONAFIDE, SPOOF = "bonafide", "spoof"
PARTS = {"train": "trn", "dev": "trl", "eval": "trl"}


def prepare(data: Path, lists: Path) -> None:
    """Write ubm.txt, enrol.tsv, trials.txt (eval), trials_dev.txt and files.tsv.

    Parameters
    ----------
    data : path
        The folder LA, with ASVspoof2019_LA_cm_protocols and ASVspoof2019_LA_<part>/flac; or the
        folder it lies in.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If a protocol or a recording is missing, or a protocol lacks one of the classes.
    """
    parts = {part: read_part(data, part) for part in PARTS}
    of_class = {label: [one.name for one in parts["train"] if one.label == label]
                for label in (BONAFIDE, SPOOF)}  # fmt: skip
    write_files(lists / "ubm.txt", of_class[SPOOF])
    write_enrollments(lists / "enrol.tsv", [Enrollment(BONAFIDE, tuple(of_class[BONAFIDE]))])
    for part, name in (("eval", "trials.txt"), ("dev", "trials_dev.txt")):
        rows = ((BONAFIDE, one.name, int(one.label == BONAFIDE)) for one in parts[part])
        write_trials(lists / name, Trials.of(rows))
    places = {one.name: str(one.path.relative_to(data)) for own in parts.values() for one in own}
    write_paths(lists / "files.tsv", places)


def read_part(data: Path, part: str) -> list[Utterance]:
    """Read the protocol of a part: lines of ``speaker utterance - attack bonafide|spoof``.

    Returns
    -------
    list of Utterance
        Named <speaker>/<utterance>.flac, with the class as label.
    """
    inner = data / "LA" if (data / "LA").is_dir() else data
    protocol = f"ASVspoof2019.LA.cm.{part}.{PARTS[part]}.txt"
    path = inner / "ASVspoof2019_LA_cm_protocols" / protocol
    found = []
    for number, line in read_lines(path):
        fields = line.split()
        if len(fields) != 5 or fields[4] not in (BONAFIDE, SPOOF):
            raise ListError(
                f"{path}: line {number}: expected speaker, utterance, -, attack and bonafide or "
                f"spoof, got {line!r}"
            )
        speaker, utterance, *_, label = fields
        place = inner / f"ASVspoof2019_LA_{part}/flac/{utterance}.flac"
        found.append(Utterance(f"{speaker}/{utterance}.flac", place, speaker, label=label))
    missing = [one.path.name for one in found if not one.path.is_file()]
    if missing:
        raise ListError(
            f"{inner}: {len(missing)} of {len(found)} recordings of {part} are missing, the first "
            f"is {missing[0]}; get the whole of LA"
        )
    for label in (BONAFIDE, SPOOF):
        if label not in {one.label for one in found}:
            raise ListError(f"{path}: no recording is {label}; both classes are needed")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Write lists for voicegmm classify.")
    parser.add_argument("--data", type=Path, required=True, help="the folder LA")
    parser.add_argument("--out", type=Path, required=True, help="a folder to write into")
    options = parser.parse_args()
    try:
        parts = {part: read_part(options.data, part) for part in PARTS}
        options.out.mkdir(parents=True, exist_ok=True)
        for part, found in parts.items():
            there = [replace(one, path=one.path.resolve()) for one in found]
            write_utterances(options.out / f"{part}.tsv", there)
            print(f"{options.out / part}.tsv: {len(found)} recordings")
    except VoicegmmError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
