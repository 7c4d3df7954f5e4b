"""Make the degraded condition: every recording through a noise, a room, a line and a level.

    python recipes/speechocean762/degrade.py --data DIR --out DEGRADED [--seed 0]
    voicegmm run recipes/speechocean762/recipe.toml --data DEGRADED

DEGRADED has the recordings of the protocol as <speaker>/<utterance>.flac, enrollment and background
included, the lists in protocol/, and conditions.tsv with what each recording's lot was. The lot
hangs on the seed and the recording's name alone: see `voicegmm.synthesis.degraded`.
"""

import argparse
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile
from prepare import copy_lists, prepare

from voicegmm.audio import read_signal
from voicegmm.compute import available_cores, ordered_map
from voicegmm.corpus import Protocol
from voicegmm.synthesis import degraded

RATE = 16_000


def degrade(data: Path, out: Path, seed: int, n_workers: int = 1) -> dict[str, dict]:
    """Write the degraded copy of a corpus; give each recording's lot by its id."""
    lists = out / "protocol"
    lists.mkdir(parents=True, exist_ok=True)
    prepare(data, lists)
    protocol = Protocol.read(lists, data)
    (lists / "files.tsv").unlink(missing_ok=True)  # it names places in the clean corpus
    copy_lists(lists, lists)

    def work(name: str) -> dict:
        digest = sha256(f"{seed} {name}".encode()).digest()
        rng = np.random.default_rng(list(digest))
        samples, drawn = degraded(read_signal(protocol.paths[name], RATE).samples, rng, RATE)
        place = out / name
        place.parent.mkdir(exist_ok=True)
        soundfile.write(place, samples, RATE, subtype="PCM_16")
        return drawn

    names = sorted(protocol.paths)
    lots = dict(zip(names, ordered_map(work, names, n_workers), strict=True))
    with (out / "conditions.tsv").open("w", encoding="utf-8") as table:
        keys = list(lots[names[0]])
        table.write("\t".join(["file", *keys]) + "\n")
        for name, lot in lots.items():
            cells = [f"{v:.2f}" if isinstance(v, float) else str(v) for v in lot.values()]
            table.write("\t".join([name, *cells]) + "\n")
    return lots


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the corpus")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lots = degrade(options.data, options.out, options.seed, available_cores())
    n_lines = sum(bool(lot["telephone"]) for lot in lots.values())
    print(f"{options.out}: {len(lots)} recordings, {n_lines} of them by telephone")


if __name__ == "__main__":
    main()
