"""Measure what `voicegmm identify` promises: half of the trial speakers are enrolled, all speak.

    python recipes/speechocean762/open_set.py --data DIR

Every second speaker of the protocol is enrolled from the recordings that the protocol enrolls;
then every other recording of all speakers is identified. The strangers are speakers whom neither
the bank nor its training has heard. Run twice: with the enrolled speakers alone, and with the
background speakers of the protocol as ``--background``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from prepare import prepare

from voicegmm import VoiceBank
from voicegmm.compute import available_cores
from voicegmm.corpus import Protocol, speaker_of
from voicegmm.metrics import identification_rate, open_set_curve
from voicegmm.scoring import Rate
from voicegmm.scoring.identification import rate_of


def linked(protocol: Protocol, files: Sequence[str], folder: Path) -> Path:
    """Lay recordings out as folders of speakers, by links."""
    for file in files:
        place = folder / speaker_of(file) / Path(file).name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(protocol.paths[file].resolve())
    return folder


def shown(name: str, promised: Rate, measured: Rate) -> str:
    """Give one line: what was promised and what was measured, in percent."""
    columns = [
        f"{100 * rate.value:5.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        for rate in (promised, measured)
    ]
    return (
        f"  {name:31} promised {columns[0]:24} measured {columns[1]} "
        f"({measured.n_trials} recordings of {measured.n_speakers} speakers)"
    )


def measure(protocol: Protocol, work: Path, background: bool) -> None:
    """Enroll every second speaker, identify everybody, print both rates."""
    names = sorted(enrollment.model for enrollment in protocol.enrollments)
    known = set(names[::2])
    enrolled = [f for e in protocol.enrollments if e.model in known for f in e.files]
    folder = linked(protocol, enrolled, work / "known")
    others = linked(protocol, protocol.background, work / "others") if background else None
    bank = VoiceBank.train(folder, background=others, n_workers=available_cores())
    tried = {file for e in protocol.enrollments for file in e.files}
    tried |= {file for test in protocol.trials.tests for file in protocol.test_files(test)}
    voices, wrong = [], []
    trials: list[tuple[str, bool, float]] = []
    for file in sorted(tried - set(enrolled)):
        answer = bank.identify(protocol.paths[file])
        if answer.status != "ok":
            print(f"  not judged ({answer.status}): {answer.reason}")
            continue
        voices.append(speaker_of(file))
        wrong.append(answer.speaker != (voices[-1] if voices[-1] in known else None))
        trials += [(file, one.name == voices[-1], one.score) for one in answer.ranking]
    stranger = np.array([voice not in known for voice in voices])
    rng = np.random.default_rng(0)
    numbers = np.unique(voices, return_inverse=True)[1]
    rates = [rate_of(np.array(wrong)[m], numbers[m], rng) for m in (stranger, ~stranger)]
    promise = bank.voices.promise
    how = "with the background speakers" if background else "the enrolled speakers alone"
    print(f"{len(bank.names)} speakers enrolled, {how}:")
    print(shown("strangers who are given a name", promise.false_accept, rates[0]))
    print(shown("enrolled, but none or another", promise.miss, rates[1]))
    curve = open_set_curve(*zip(*trials, strict=True))
    for alarm in (0.01, 0.05, 0.1):
        share, alarmed = 100 * curve.detection_at(alarm), 100 * alarm
        print(f"  at a threshold with {alarmed:g} % false alarms: detected and first {share:.1f} %")
    rows = [row for row in trials if speaker_of(row[0]) in known]
    for rank in (1, 5):
        rate = 100 * identification_rate(*zip(*rows, strict=True), rank)
        print(f"  enrolled speakers among the first {rank}: {rate:.1f} %")


def main() -> None:
    """Read the arguments and measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the corpus")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as work:
        lists = Path(work) / "lists"
        lists.mkdir()
        prepare(data, lists)
        protocol = Protocol.read(lists, data)
        for background in (False, True):
            measure(protocol, Path(work) / f"background-{background}", background)


if __name__ == "__main__":
    main()
