"""Runs that are disturbed again and again must end as one that never was; a script of its own.

It imports the program once and copies itself for each attempt, so that an attempt takes what the
run takes: ``python disturbances.py CORPUS FOLDER kill=10 interrupt=3 disk=3 workers=3``. What fails
ends it with a traceback; else it prints how many attempts of each kind ended how, as JSON.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import voicegmm.experiment.steps.report
from voicegmm.cli import main
from voicegmm.experiment import FILES
from voicegmm.store import extraction

SETTINGS = ("ubm.n_components=32", "ubm.em.n_iterations=12", "calibration.n_folds=3")
# What another run may make otherwise: what took how long, where, and when.
TOLD = {"run.log", "stages.json", "recordings.tsv", "environment.json"}
MADE = (set(FILES) | {"calibration.json"}) - TOLD


def command(corpus, out, n_workers):
    given = [part for setting in SETTINGS for part in ("--set", setting)]
    places = ["--data", str(corpus), "--out", str(out)]
    return ["run", "demo", *places, "--workers", str(n_workers), "--json", *given]


def attempt(corpus, out, disturb):
    """Run the recipe in a copy of this process, and disturb it; give exit code and errors."""
    errors = out.with_suffix(".err")
    process = os.fork()
    if not process:
        os.setpgid(0, 0)
        for number in (1, 2):
            os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), number)
        disturb(0)
        try:
            main(command(corpus, out, 2))
        finally:  # also where it should not have come to
            sys.stdout.flush()
            sys.stderr.flush()
            code = sys.exc_info()[1]
            os._exit(code.code if isinstance(code, SystemExit) else 70)
    disturb(process)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, errors.read_text()


def made(folder):
    """Give what a run has made that another must make in the same way."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in MADE}


def killed(draw, seconds):
    moment = draw.uniform(0, seconds)

    def disturb(process):
        if process:
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)

    return disturb, {0, -signal.SIGKILL}


def interrupted(draw, seconds):
    moment = draw.uniform(0, seconds)

    def disturb(process):
        if process:
            time.sleep(moment)
            os.killpg(process, signal.SIGINT)

    return disturb, {0, 130}


def out_of_disk(draw, seconds):
    # No file may be larger than so, which ends in the same error as a full disk.
    limit = int(10 ** draw.uniform(1, 6.5))

    def disturb(process):
        if not process:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return disturb, {0, 1}


def without_workers(draw, seconds):
    moment = draw.uniform(0, seconds)

    def disturb(process):
        if process:
            time.sleep(moment)
            for name in Path("/proc").glob("[0-9]*"):
                try:
                    parent = int((name / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if parent == process:
                    os.kill(int(name.name), signal.SIGKILL)

    return disturb, {0, 1}


KINDS = {
    "kill": killed,
    "interrupt": interrupted,
    "disk": out_of_disk,
    "workers": without_workers,
}


def undisturbed(process):
    """Let it run."""


def checked(folder, wanted, code, errors, allowed):
    """Check what a disturbed run leaves: whole files, and one line that says why."""
    assert code in allowed, (code, errors)
    assert "Traceback" not in errors, errors
    if code == 1:
        told = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert len(told) == 1, errors
    if folder.exists():
        for name, content in made(folder).items():
            assert content == wanted[name], f"{name} is half-written or other, after {errors!r}"


def run(corpus, place, kinds):
    # Figures take most of the time of a small run; forks take part from the first byte on.
    voicegmm.experiment.steps.report.write_report = lambda folder, *_: (
        folder / "report.html"
    ).write_text("report")
    extraction._FORKS_FROM = 0
    draw = random.Random(int(os.environ.get("VOICEGMM_SEED", "0")))

    # Here and not in a copy: what is imported and compiled on the way is there for all.
    with pytest.raises(SystemExit) as ended:
        main(command(corpus, place / "undisturbed", 1))
    assert not ended.value.code
    wanted = made(place / "undisturbed")
    assert {"scores.tsv", "ubm.h5", "features.h5", "report.html"} <= wanted.keys()

    begun = time.monotonic()
    code, errors = attempt(corpus, place / "again", undisturbed)
    seconds = time.monotonic() - begun
    assert code == 0, errors
    assert made(place / "again") == wanted
    found = {}
    for kind, number in kinds.items():
        make = partial(KINDS[kind], draw, seconds)
        found[kind] = disturbed(corpus, place / kind, wanted, number, make)
    return found


def disturbed(corpus, folder, wanted, number, make):
    """Disturb runs in a folder; each goes on from what the one before has left."""
    ends = Counter()
    for left in reversed(range(number + 1)):
        disturb, allowed = make() if left else (undisturbed, {0})
        code, errors = attempt(corpus, folder, disturb)
        checked(folder, wanted, code, errors, allowed)
        ends[code] += 1
        if code == 0:
            found = made(folder)
            assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
            unfinished = [path.name for path in folder.iterdir() if "part" in path.suffix]
            assert not unfinished, unfinished
            shutil.rmtree(folder)
    return ends


if __name__ == "__main__":
    asked = dict(word.split("=") for word in sys.argv[3:])
    found = run(Path(sys.argv[1]), Path(sys.argv[2]), {kind: int(n) for kind, n in asked.items()})
    print("\n" + json.dumps(found))
