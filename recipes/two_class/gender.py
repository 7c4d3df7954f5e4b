"""Lay speechocean762 out by gender: OUT/train and OUT/test, no speaker in both.

python recipes/two_class/gender.py --data DIR --out GENDER
voicegmm classify train GENDER/train -o gender.h5
voicegmm classify evaluate gender.h5 GENDER/test
"""

import argparse
from pathlib import Path

from speakers import speakers

NAMES = {"f": "female", "m": "male"}


def lay_out(data: Path, out: Path) -> int:
    """Link every recording to its place; give their number."""
    number = 0
    for speaker in speakers(data):
        folder = out / speaker.part / NAMES[speaker.gender.lower()] / speaker.name
        folder.mkdir(parents=True)
        for file in speaker.files:
            (folder / file.name).symlink_to(file)
            number += 1
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the corpus")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    print(f"{options.out}: {lay_out(options.data, options.out)} recordings")


if __name__ == "__main__":
    main()
