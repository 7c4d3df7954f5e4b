"""Stages: work that is done once, and again only when what it depends on has changed."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from voicegmm._base.checks import listed
from voicegmm._base.files import content_hash, remove_leftovers_in, write_text
from voicegmm._base.options import canonical_json, differences, fingerprint, to_mapping
from voicegmm.experiment.code import code_of
from voicegmm.experiment.environment import PeakMemory
from voicegmm.experiment.locks import alone, held

log = logging.getLogger(__name__)

RECORDS = "stages.json"
NEW = "it was not done here yet"
"""The reason of what runs for the first time."""


@dataclass(frozen=True)
class Stage:
    """A step of a run, and everything that its outputs depend on.

    Parameters
    ----------
    name : str
    function : callable
        What does it: its code counts, with all that it uses.
    options : mapping
        Name -> a value or a dataclass.
    inputs : mapping of str to str
        What goes in -> a fingerprint of its content.
    outputs : tuple of str
        Files in the folder that the work makes.
    may_make : tuple of str
        Files that it makes in some cases.
    """

    name: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    may_make: tuple[str, ...] = ()

    @cached_property
    def code(self) -> dict[str, str]:
        """Versions of the modules and libraries that it uses."""
        return code_of(self.function)

    @cached_property
    def told_options(self) -> dict[str, Any]:
        """The options as they are written down."""
        told: dict[str, Any] = json.loads(canonical_json(self.options))
        return told

    @cached_property
    def fingerprint(self) -> str:
        """Of options, inputs and code: the same work has the same, in whatever folder."""
        return fingerprint(self.name, self.options, self.inputs, self.code)


@dataclass(frozen=True)
class Output:
    """A file that a stage has made: its SHA-256, and by what it is known to be the same still."""

    digest: str
    n_bytes: int
    changed_ns: int

    @staticmethod
    def of(path: Path) -> "Output":
        """Read what a file is."""
        status = path.stat()
        return Output(content_hash(path), status.st_size, status.st_mtime_ns)

    def still(self, path: Path) -> bool:
        """Tell whether a file is this one; its content is read only where the look of it is new."""
        if not path.is_file():
            return False
        status = path.stat()
        if status.st_size != self.n_bytes:
            return False
        return status.st_mtime_ns == self.changed_ns or content_hash(path) == self.digest

    def seen(self, path: Path) -> "Output":
        """Know it by the look that the file has now."""
        return replace(self, changed_ns=path.stat().st_mtime_ns)


@dataclass(frozen=True)
class Record:
    """What is known of a stage that was done, or begun.

    Parameters
    ----------
    fingerprint : str
        See `Stage`.
    options, inputs, code : mapping
    outputs : mapping of str to Output
    finished : bool
    seconds, peak_memory_mb : float
        What the work took; the memory is that of this process and its largest worker.
    skipped : bool
        Whether it had been done before.
    reason : str
        Why it was done, or not.
    """

    fingerprint: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: Mapping[str, str]
    outputs: Mapping[str, Output] = field(default_factory=dict)
    finished: bool = False
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    skipped: bool = False
    reason: str = ""

    @staticmethod
    def of(stage: Stage) -> "Record":
        """Begin the record of a stage."""
        return Record(stage.fingerprint, stage.told_options, dict(stage.inputs), stage.code)

    def told(self) -> dict[str, Any]:
        """Give what a reader of results wants to know."""
        return {
            "fingerprint": self.fingerprint,
            "seconds": self.seconds,
            "peak_memory_mb": self.peak_memory_mb,
            "skipped": self.skipped,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Decision:
    """What becomes of a stage, and why.

    Parameters
    ----------
    stage : str
    fingerprint : str
        As of a `Stage`; where an input is yet to be made, of what it will be made from.
    action : {"run", "skip", "depends", "take"}
        "depends": it runs unless the inputs that are made anew come out as they were. "take": it
        was done in another folder.
    reason : str
    """

    stage: str
    fingerprint: str
    action: str
    reason: str


_TO_BE_MADE = "made by "


class LastStageDone(Exception):  # noqa: N818 - nothing went wrong
    """The last stage that was asked for is done."""


class RunFolder:
    """The folder of one experiment, held while it runs.

    Parameters
    ----------
    path : path
    shared : path, optional
        A folder where runs that do the same work find it done: ``<stage>-<fingerprint>/``. Who
        comes to a stage first does it, and others wait.
    dry_run : bool
        Only decide, and write nothing.
    last_stage : str
        After it `LastStageDone` is raised; empty: never.
    name : str
        Of the system in a fused run, for the log.

    Attributes
    ----------
    at_work : callable
        Called before a stage's work.
    """

    def __init__(
        self,
        path: Path,
        shared: Path | None = None,
        dry_run: bool = False,
        last_stage: str = "",
        name: str = "",
    ) -> None:
        self.path = path
        self.name = name
        self.at_work: Callable[[], None] = lambda: None
        self.last_stage = last_stage
        self.shared = shared
        self.dry_run = dry_run
        self.records = read_records(path)
        self.decisions: list[Decision] = []
        self.systems: dict[str, RunFolder] = {}
        self._contents: dict[str, str] = {}

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """Name -> fingerprint, seconds, peak_memory_mb, skipped and reason of each stage so far."""
        inner = {
            f"{name}: {stage}": told
            for name, folder in self.systems.items()
            for stage, told in folder.stages.items()
        }
        return inner | {each.stage: self.records[each.stage].told() for each in self.decisions}

    def all_decisions(self) -> list[Decision]:
        """Give what became of each stage, those of inner folders before our own."""
        inner = [
            replace(decision, stage=f"{name}: {decision.stage}")
            for name, folder in self.systems.items()
            for decision in folder.decisions
        ]
        return inner + self.decisions

    def content(self, name: str) -> str:
        """Give a fingerprint of the content of a file of this run; empty where it was not made."""
        return self._contents.get(name, "")

    @contextmanager
    def inner(self, name: str) -> Iterator["RunFolder"]:
        """Hold the run folder of one of the systems of this run; its decisions are told here."""
        place = self.path / "systems" / name
        with run_folder(place, self.shared, self.dry_run, name=name) as folder:
            self.systems[name] = folder
            yield folder

    def stage(self, stage: Stage, work: Callable[[], None]) -> None:
        """Do a stage's work unless it was done with the same options, inputs and code.

        Parameters
        ----------
        stage : Stage
        work : callable
            Makes the outputs, whole or not at all.
        """
        decision = self._decided(stage)
        if self.dry_run:
            self._plan(stage, decision)
            return
        if decision.action == "skip":
            known = self.records[stage.name]
            outputs = {name: made.seen(self.path / name) for name, made in known.outputs.items()}
            done = replace(known, outputs=outputs, skipped=True, reason=decision.reason)
            self._log(stage, f"skipped: {decision.reason}")
        else:
            with alone(self._place(stage)) if self.shared else nullcontext():
                done = self._taken(stage) or self._worked(stage, work, decision.reason)
        self.records[stage.name] = done
        self._write()
        self.decisions.append(decision)
        self._contents |= {name: made.digest for name, made in done.outputs.items()}
        if stage.name == self.last_stage:
            raise LastStageDone

    def _decided(self, stage: Stage) -> Decision:
        known = self.records.get(stage.name)
        action, reason = "run", NEW
        if known:
            reason = "; ".join(_changes(stage, known))
            if not reason and not known.finished:
                reason = "it was interrupted"
            lost = [
                name for name, made in known.outputs.items() if not made.still(self.path / name)
            ]
            if not reason and lost:
                gone = all(not (self.path / name).exists() for name in lost)
                reason = f"{listed(lost)} {'is gone' if gone else 'was changed since'}"
            if not reason:
                action, reason = "skip", "options, inputs and code are what they were"
            elif known.finished and not lost and _only_to_be_made(stage, known):
                action = "depends"
        if action != "skip" and self.dry_run and self._shared_record(stage):
            action, reason = "take", "another run has done the same"
        return Decision(stage.name, stage.fingerprint, action, reason)

    def _plan(self, stage: Stage, decision: Decision) -> None:
        self.decisions.append(decision)
        known = self.records.get(stage.name)
        if decision.action == "take":
            known = self._shared_record(stage)
        if known and decision.action in ("skip", "take"):
            self._contents |= {name: made.digest for name, made in known.outputs.items()}
        else:
            made = (*stage.outputs, *stage.may_make)
            self._contents |= dict.fromkeys(made, _TO_BE_MADE + stage.fingerprint)

    def _worked(self, stage: Stage, work: Callable[[], None], reason: str) -> Record:
        begun, before = Record.of(stage), self.records.get(stage.name)
        if before and before.fingerprint != begun.fingerprint:
            for name in stage.outputs:  # what is left of other work is nothing to go on from
                (self.path / f"{name}.partial").unlink(missing_ok=True)
        self.records[stage.name] = begun
        self._write()
        self._log(stage, f"runs: {reason}")
        self.at_work()
        start = time.perf_counter()
        with PeakMemory() as memory:
            work()
        seconds = time.perf_counter() - start
        made = [name for name in stage.may_make if (self.path / name).exists()]
        done = replace(
            begun,
            outputs={name: Output.of(self.path / name) for name in (*stage.outputs, *made)},
            finished=True,
            seconds=round(seconds, 3),
            peak_memory_mb=round(memory.megabytes, 1),
            reason=reason,
        )
        self._log(stage, f"done in {seconds:.1f} s")
        if self.shared:
            _give(stage.name, done, self.path, self._place(stage))
        return done

    def _taken(self, stage: Stage) -> Record | None:
        """Take what another run has made of the same, if one has."""
        found = self._shared_record(stage)
        if found is None:
            return None
        for name in {*stage.outputs, *stage.may_make} - found.outputs.keys():
            (self.path / name).unlink(missing_ok=True)
        for name in found.outputs:
            _link(self._place(stage) / name, self.path / name)
        reason = "another run has done the same"
        self._log(stage, f"taken: {reason}")
        return replace(found, skipped=True, reason=reason)

    def _place(self, stage: Stage) -> Path:
        assert self.shared is not None
        return self.shared / f"{stage.name.replace(' ', '-')}-{stage.fingerprint}"

    def _shared_record(self, stage: Stage) -> Record | None:
        if self.shared is None:
            return None
        place = self._place(stage)
        found = read_records(place).get(stage.name)
        if found and all(made.still(place / name) for name, made in found.outputs.items()):
            return found
        return None

    def _log(self, stage: Stage, what: str) -> None:
        log.info("%s: %s", f"{self.name}: {stage.name}" if self.name else stage.name, what)

    def _write(self) -> None:
        write_records(self.path, self.records)


def read_records(folder: Path) -> dict[str, Record]:
    """Read what is known of the stages of a folder; nothing where that cannot be read."""
    try:
        return msgspec.json.decode((folder / RECORDS).read_bytes(), type=dict[str, Record])
    except (OSError, msgspec.MsgspecError):
        return {}


def write_records(folder: Path, records: Mapping[str, Record]) -> None:
    """Write down what is known of the stages of a folder."""
    write_text(folder / RECORDS, json.dumps(to_mapping(records), indent=1) + "\n")


@contextmanager
def run_folder(
    path: Path,
    shared: Path | None = None,
    dry_run: bool = False,
    last_stage: str = "",
    name: str = "",
) -> Iterator[RunFolder]:
    """Hold a run folder; it is made where it is missing. See `RunFolder`.

    Raises
    ------
    InUseError
        If another process holds it, naming that process.
    """
    if dry_run:
        yield RunFolder(path, shared, dry_run, last_stage, name)
        return
    with held(path):
        remove_leftovers_in(path)
        for left in path.glob(".lists.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        yield RunFolder(path, shared, dry_run, last_stage, name)


def _changes(stage: Stage, known: Record) -> Iterator[str]:
    """Tell which of options, inputs and code are other than they were."""
    options = differences(known.options, stage.told_options)
    if options:
        each = [f"{name} {_brief(old)} -> {_brief(new)}" for name, (old, new) in options.items()]
        yield f"options: {listed(each, 5)}"
    inputs = differences(known.inputs, stage.inputs)
    if inputs:
        yield f"inputs: {listed(inputs, 5)}"
    code = differences({"code": known.code}, {"code": stage.code})
    if code:
        yield f"code: {listed([name.removeprefix('code.') for name in code], 5)}"


def _only_to_be_made(stage: Stage, known: Record) -> bool:
    """Whether all that has changed are inputs that are yet to be made."""
    changed = [name for name, mark in stage.inputs.items() if known.inputs.get(name) != mark]
    same = replace(stage, inputs=known.inputs).fingerprint == known.fingerprint
    return same and all(stage.inputs[name].startswith(_TO_BE_MADE) for name in changed)


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _give(name: str, done: Record, folder: Path, place: Path) -> None:
    """Put the outputs of a stage where other runs find them, all or none."""
    aside = place.with_name(f".{place.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    aside.mkdir(parents=True)
    for file in done.outputs:
        _link(folder / file, aside / file)
    write_records(aside, {name: done})
    aside.rename(place)


def _link(source: Path, target: Path) -> None:
    """Let a file appear in another place: no file of a run is ever changed, only replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(source)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, aside)
    aside.replace(target)
    aside.unlink(missing_ok=True)  # to replace a file by itself does nothing
