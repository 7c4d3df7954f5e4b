"""Make genuine and replayed speech of speechocean762: OUT/train and OUT/test share nothing.

    python recipes/two_class/replay.py --data DIR --out REPLAY
    voicegmm classify train REPLAY/train -o spoof.h5 --config asvspoof-lfcc --components 128
    voicegmm classify evaluate spoof.h5 REPLAY/test

Every recording is there twice: heard at one of the part's places, and stolen by one of the part's
attackers and played at another place (`voicegmm.synthesis.heard`). Speakers, places, recorders and
loudspeakers of the two parts are different ones. OUT/lots.tsv says which was which.
"""

import argparse
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile
from speakers import Speaker, speakers

from voicegmm.audio import read_signal
from voicegmm.compute import available_cores, ordered_map
from voicegmm.synthesis import draw_attack, draw_place, heard

RATE = 16_000
N_PLACES = 20
N_ATTACKS = 20


def generator(*words: object) -> np.random.Generator:
    """Start a generator that hangs on these words alone."""
    return np.random.default_rng(list(sha256(" ".join(map(str, words)).encode()).digest()))


def record(out: Path, speaker: Speaker, file: Path, seed: int) -> list[str]:
    """Write one recording genuine and replayed; give its lines of the table of lots."""
    samples = read_signal(file, RATE).samples
    rng = generator(seed, speaker.name, file.stem)
    first, second = rng.choice(N_PLACES, 2, replace=False)
    attacker = int(rng.integers(N_ATTACKS))
    lines = []
    for kind, place, attack in (("genuine", first, None), ("replayed", second, attacker)):
        where = draw_place(generator(seed, speaker.part, "place", place))
        by = attack if attack is None else draw_attack(generator(seed, speaker.part, "by", attack))
        name = f"{speaker.part}/{kind}/{speaker.name}/{file.stem}.flac"
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        sound = heard(samples, where, rng, RATE, by)
        soundfile.write(out / name, sound, RATE, subtype="PCM_16")
        lines.append(f"{name}\t{place}\t{'' if attack is None else attack}")
    return lines


def make(data: Path, out: Path, seed: int, n_workers: int = 1) -> int:
    """Write both parts; give the number of recordings."""
    items = [(speaker, file) for speaker in speakers(data) for file in speaker.files]
    made = ordered_map(lambda item: record(out, *item, seed), items, n_workers)
    lines = [line for pair in made for line in pair]
    (out / "lots.tsv").write_text("\n".join(["file\tplace\tattacker", *lines]) + "\n")
    return len(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the corpus")
    parser.add_argument("--out", type=Path, required=True, help="a folder to write into")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    number = make(options.data, options.out, options.seed, available_cores())
    print(f"{options.out}: {number} recordings")


if __name__ == "__main__":
    main()
