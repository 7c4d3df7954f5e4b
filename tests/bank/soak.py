"""A long run on one bank: train, enroll, identify, remove, in random order, with random kills.

    python tests/bank/soak.py FOLDER --wavs WAVS [--seconds 300] [--seed 0]

WAVS is a folder of speakers. FOLDER gets the bank and `log.jsonl`, a line a step. One step in four
is a command in a child of this process, and half of those are killed at a random moment; the
others are done by this process, which stays, and whose memory is watched. A step that ended is in
the bank; one that was killed is in it whole or not at all, and the log says which. While a child
writes, this process reads. What there is at the end is compared with the log, and with the
recordings. The last line printed is a JSON object of what was done.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm import VoiceBank
from voicegmm._base.files import content_hash, locked
from voicegmm.bank import BankOptions
from voicegmm.cli import main
from voicegmm.features import Pipeline
from voicegmm.mixture import accumulate

Enrolled = dict[str, tuple[str, ...]]
"""Who is enrolled, in order, and the SHA-256 of the recordings of each."""

_STEPS = {"enroll": 0.36, "update": 0.12, "remove": 0.31, "identify": 0.2, "train": 0.01}
_OPTIONS = BankOptions(n_components=8)


@dataclass(frozen=True)
class Step:
    """Something that changes the bank.

    Parameters
    ----------
    did : {"train", "enroll", "remove"}
    name : str
    files : tuple of path
        That enroll.
    after : dict
        Who is enrolled when it was done.
    """

    did: str
    after: Enrolled
    name: str = ""
    files: tuple[Path, ...] = ()


@dataclass
class Soak:
    """The state of a run: what the log says of the bank, and what was seen on the way."""

    folder: Path
    wavs: Path
    rng: np.random.Generator
    enrolled: Enrolled = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    usual: dict[str, float] = field(default_factory=dict)
    held: VoiceBank | None = None

    def __post_init__(self) -> None:
        self.bank, self.log = self.folder / "voices.h5", self.folder / "log.jsonl"
        files = sorted(self.wavs.glob("*/*.wav"))
        self.files = {content_hash(file): file for file in files}
        self.small = self.folder / "few"  # whom a training enrolls
        self.small.mkdir()
        self.trained: Enrolled = {}
        for speaker in sorted({file.parent for file in files})[:3]:
            (self.small / speaker.name).symlink_to(speaker.resolve())
            own = sorted((self.small / speaker.name).glob("*.wav"))
            self.trained[speaker.name] = tuple(content_hash(file) for file in own)

    def step(self) -> None:
        """Do one thing, and look whether the bank is as it should be."""
        did = str(self.rng.choice(list(_STEPS), p=list(_STEPS.values())))
        if did == "identify":
            file = self.files[str(self.rng.choice(list(self.files)))]
            answer = self.opened().identify(file, force=True)
            assert {one.name for one in answer.ranking} == set(self.enrolled), answer
            self.note("identify", "done")
            return
        step = self.change(did)
        self.names |= step.after.keys()
        if self.rng.random() < 0.25:
            self.by_child(step, killed=self.rng.random() < 0.5)
        else:
            self.here(step)

    def change(self, did: str) -> Step:
        """Choose what to do, with whom and with what."""
        names = list(self.enrolled)
        taken = {content for contents in self.enrolled.values() for content in contents}
        free = [content for content in self.files if content not in taken]
        if did == "train" or not names:
            return Step("train", self.trained)
        if did == "remove" or not free:
            name = str(self.rng.choice(names))
            return Step("remove", self.others(name), name)
        new = f"Persön {self.rng.integers(1 << 60):015x}"
        name = str(self.rng.choice(names)) if did == "update" else new
        chosen = tuple(map(str, self.rng.permutation(free)[: 1 + int(self.rng.integers(2))]))
        after = {**self.others(name), name: (*self.enrolled.get(name, ()), *chosen)}
        return Step("enroll", after, name, tuple(self.files[content] for content in chosen))

    def others(self, name: str) -> Enrolled:
        """Give who is enrolled but for one."""
        return {other: held for other, held in self.enrolled.items() if other != name}

    def here(self, step: Step) -> None:
        """Change the bank in this process."""
        with locked(self.bank):
            if step.did == "train":
                self.held = VoiceBank.train(self.small, _OPTIONS)
            elif step.did == "remove":
                self.held = self.opened().remove(step.name)
            else:
                self.held = self.opened().enroll(step.name, step.files, 0.0)
            self.held.save(self.bank)
        self.enrolled = step.after
        self.note(step.did, "done")

    def by_child(self, step: Step, killed: bool) -> None:
        """Change the bank by a command, kill it perhaps, and learn what came of it."""
        usual = self.usual.get(step.did, 0.1)
        begun = time.monotonic()
        child = os.fork()
        if not child:
            _run(self.command(step))
        if killed:
            if self.rng.random() < 0.5:
                time.sleep(self.rng.uniform(0, 1.2 * usual))
            else:
                self.wait_until_it_writes(3 * usual)
            os.kill(child, signal.SIGKILL)
        else:  # who reads meanwhile sees what was, or what will be
            assert list(_holding(self.bank).items()) in self.before_and_after(step)
            self.counts["read while another wrote"] += 1
        _, status = os.waitpid(child, 0)
        self.counts["left half-made"] += any(self.folder.glob(".*.part"))
        found = list(_holding(self.bank).items())
        before, after = self.before_and_after(step)
        if os.WIFSIGNALED(status):
            assert found in (before, after), found
            end = "killed after" if found == after else "killed before"
        else:
            assert os.waitstatus_to_exitcode(status) == 0, step
            assert found == after, found
            end = "done by a child"
            self.usual[step.did] = 0.8 * usual + 0.2 * (time.monotonic() - begun)
        self.held = None
        if end != "killed before":
            self.enrolled = step.after
        self.note(step.did, end)

    def wait_until_it_writes(self, seconds: float) -> None:
        """Wait for a file that is being made beside the bank, and a little more."""
        end = time.monotonic() + seconds
        while not any(self.folder.glob(".*.part")) and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(self.rng.exponential(0.002))

    def before_and_after(self, step: Step) -> tuple[list[Any], list[Any]]:
        """Give what the bank may hold while a step is done."""
        return list(self.enrolled.items()), list(step.after.items())

    def command(self, step: Step) -> list[str]:
        """Say a step as a command."""
        if step.did == "train":
            quick = ["--components", "8", "--force", "--workers", "1"]
            return ["train", str(self.small), "-o", str(self.bank), *quick]
        if step.did == "remove":
            return ["remove", str(self.bank), step.name]
        return ["enroll", str(self.bank), step.name, *map(str, step.files), "--force"]

    def opened(self) -> VoiceBank:
        """Give the bank, read again if another process may have changed it."""
        self.held = self.held or VoiceBank.open(self.bank)
        return self.held

    def note(self, did: str, end: str) -> None:
        """Write a step into the log."""
        self.counts[f"{did} {end}"] += 1
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"did": did, "end": end, "enrolled": self.enrolled}) + "\n")

    def check_end(self) -> None:
        """Hold the bank to the log, and to the recordings."""
        last = json.loads(self.log.read_text(encoding="utf-8").splitlines()[-1])["enrolled"]
        logged = {name: tuple(contents) for name, contents in last.items()}
        assert list(_holding(self.bank).items()) == list(logged.items())
        speakers = VoiceBank.open(self.bank).voices.speakers
        pipeline = Pipeline(speakers.background.front_end)
        for name, contents in logged.items():
            made = [pipeline.extract_file(self.files[content]) for content in contents]
            heard = [accumulate(speakers.background.gmm, one.frames, one.weights) for one in made]
            counts, first, seconds = speakers.statistics(name)
            np.testing.assert_allclose(counts, sum(one.counts for one in heard), rtol=1e-4)
            # Read back from means in single precision, once for each time the speaker was updated.
            expected = sum(one.first for one in heard)
            np.testing.assert_allclose(first, expected, rtol=1e-3, atol=0.05)
            np.testing.assert_allclose(seconds, sum(one.speech_seconds for one in made), rtol=1e-9)
        content = self.bank.read_bytes()
        # Those of the folder stand in paths of their recordings, which may enroll others.
        gone = self.names - logged.keys() - self.trained.keys()
        assert not [name for name in gone if name.encode() in content]
        assert not [name for name in gone if json.dumps(name)[1:-1].encode() in content]


def _holding(bank: Path) -> Enrolled:
    """Say whom a bank holds, and from what."""
    speakers = VoiceBank.open(bank).voices.speakers
    return {name: tuple(r.content for r in speakers.records[name]) for name in speakers.ids}


def _run(arguments: list[str]) -> None:
    """Be a command."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        main(arguments)
    except SystemExit as stopped:
        os._exit(stopped.code if isinstance(stopped.code, int) else 1)
    os._exit(70)


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def soak(folder: Path, wavs: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Run for some seconds, and say what was done."""
    run = Soak(folder, wavs, np.random.default_rng(seed))
    work = folder / "tmp"
    work.mkdir()
    tempfile.tempdir = str(work)
    run.here(Step("train", run.trained))  # children start where all is loaded and compiled
    memory: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.step()
        run.counts["steps"] += 1
        memory.append(_resident_megabytes())
    while True:  # the last of each are not killed, and clear up behind those who were
        for did in ("train", "enroll"):
            run.here(run.change(did))
        if not any(folder.glob(".*.part")):
            break
    run.check_end()
    left = sorted(path.name for path in folder.iterdir())
    assert left == [".voices.h5.lock", "few", "log.jsonl", "tmp", "voices.h5"], left
    assert not any(work.iterdir())
    quarter = len(memory) // 4
    return {
        "counts": dict(sorted(run.counts.items())),
        "n_enrolled": len(run.enrolled),
        "megabytes_in_the_second_quarter": round(max(memory[quarter : 2 * quarter]), 1),
        "megabytes_in_the_last_quarter": round(max(memory[-quarter:]), 1),
    }


if __name__ == "__main__":
    # Forks of a process that has threads could wait for locks that nobody holds.
    alone = {f"{kind}_NUM_THREADS": "1" for kind in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    if not alone.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | alone)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("--wavs", type=Path, required=True, help="a folder of speakers")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(soak(asked.folder, asked.wavs, asked.seconds, asked.seed)))
