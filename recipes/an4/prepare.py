"""The lists of AN4 (CMU's census database): its ten test speakers are tried, the others are not.

As a command it writes the recordings of the raw packages, which have no header, as WAV:

    python recipes/an4/prepare.py --data an4 --out an4-wav
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import soundfile

from voicegmm._base.errors import ListError, VoicegmmError
from voicegmm.corpus import (
    Enrollment,
    drawn,
    read_files,
    trials_within,
    write_enrollments,
    write_files,
    write_paths,
    write_trials,
)

N_ENROLL = 4
RATE = 16_000
SUFFIXES = (".sph", ".wav", ".flac")


def prepare(data: Path, lists: Path) -> None:
    """Write ubm.txt, enrol.tsv, trials.txt and files.tsv.

    Parameters
    ----------
    data : path
        The folder an4, with etc/an4_train.fileids, etc/an4_test.fileids and wav/, or the folder it
        lies in.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If a list or a recording is missing, the recordings are raw, or a speaker is in both lists.
    """
    inner = data / "an4" if (data / "an4").is_dir() else data
    train, test = (read_part(inner, part) for part in ("train", "test"))
    for name in sorted(train.keys() & test.keys()):
        raise ListError(f"{inner}: speaker {name} stands in train and in test")
    few = [name for name, own in test.items() if len(own) <= N_ENROLL]
    if few:
        raise ListError(
            f"{inner}: speaker {few[0]} has {len(test[few[0]])} recordings in an4_test.fileids, "
            f"more than {N_ENROLL} are needed"
        )
    write_files(lists / "ubm.txt", (file for own in train.values() for file in own))
    enrolled = {name: drawn(own, N_ENROLL) for name, own in test.items()}
    write_enrollments(lists / "enrol.tsv", (Enrollment(*item) for item in enrolled.items()))
    tests = {name: [f for f in own if f not in enrolled[name]] for name, own in test.items()}
    # A name begins with the speaker's gender.
    write_trials(lists / "trials.txt", trials_within(tests, {name: name[0] for name in test}))
    places = {f: p for part in (train, test) for own in part.values() for f, p in own.items()}
    write_paths(lists / "files.tsv", {f: str(p.relative_to(data)) for f, p in places.items()})


def read_part(inner: Path, part: str) -> dict[str, dict[str, Path]]:
    """Read a list of the corpus: speaker -> name -> where the recording lies."""
    voices: dict[str, dict[str, Path]] = {}
    missing = []
    for line in read_files(inner / f"etc/an4_{part}.fileids"):  # an4_clstk/fash/an251-fash-b
        place = inner / "wav" / line
        speaker = place.parent.name
        found = [
            there for suffix in SUFFIXES if (there := place.with_name(place.name + suffix)).exists()
        ]
        if found:
            voices.setdefault(speaker, {})[f"{speaker}/{place.name}"] = found[0]
        else:
            missing.append(line)
    if missing:
        raw = (inner / "wav" / f"{missing[0]}.raw").exists()
        remedy = (
            "they are raw: see the README for how to write them as WAV" if raw else "get them all"
        )
        raise ListError(
            f"{inner}: {len(missing)} recordings of an4_{part}.fileids are missing, the first is "
            f"wav/{missing[0]}{SUFFIXES[0]}; {remedy}"
        )
    return voices


def convert(data: Path, out: Path) -> int:
    """Write the raw recordings of a corpus as WAV, laid out alike; give their number.

    The packages differ in the order of the bytes and do not say so: with the wrong order speech
    jumps from sample to sample.
    """
    inner = data / "an4" if (data / "an4").is_dir() else data
    files = sorted((inner / "wav").rglob("*.raw"))
    if not files:
        raise ListError(f"{inner}: no raw recordings in wav")
    for path in files:
        samples = min((np.fromfile(path, order) for order in (">i2", "<i2")), key=roughness)
        place = (out / path.relative_to(inner)).with_suffix(".wav")
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, samples.astype(np.int16), RATE, subtype="PCM_16")
    shutil.copytree(inner / "etc", out / "etc", dirs_exist_ok=True)
    return len(files)


def roughness(samples: np.ndarray) -> float:
    """Tell how much a signal jumps: the mean step."""
    return float(np.abs(np.diff(samples.astype(np.float64))).mean()) if len(samples) > 1 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Write AN4's raw recordings as WAV.")
    parser.add_argument("--data", type=Path, required=True, help="the corpus")
    parser.add_argument("--out", type=Path, required=True, help="a folder to write into")
    options = parser.parse_args()
    try:
        print(f"{options.out}: {convert(options.data, options.out)} recordings")
    except VoicegmmError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
