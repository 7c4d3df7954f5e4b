"""From recordings to a feature store."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from voicegmm._base.errors import AudioError, VoicegmmError
from voicegmm._base.files import content_hash, whole_file
from voicegmm._base.options import fingerprint
from voicegmm._base.reasons import together
from voicegmm.audio import WHOLE, Excerpt
from voicegmm.compute import (
    can_fork,
    check_seen,
    engine_in_force,
    keep_freed_memory,
    ordered_map,
)
from voicegmm.features import FrameSet, Pipeline
from voicegmm.features.pipeline import Segments
from voicegmm.scoring import MemoryFrames, Status, failure_of
from voicegmm.store.features import new_store
from voicegmm.store.journal import ExtractionJournal, KeptFrames, append_entry
from voicegmm.store.rows import Digested

T = TypeVar("T")
R = TypeVar("R")

# Of recordings, in bytes: with less, forks and processes would not gain what they take to start.
_FORKS_FROM, _PROCESSES_FROM = 10_000_000, 400_000_000
# What a process is given and gives back at once: large enough that the way does not count.
_BATCH_BYTES, _BATCH_FILES = 1_000_000, 64
# What a worker of a cluster leaves in one file; less, where not all workers would have some.
_PARCEL_BYTES, _PARCELS = 16_000_000, 128


@dataclass(frozen=True)
class ExtractionSummary:
    """What came of an extraction.

    Parameters
    ----------
    n_files : int
    n_frames : int
        Speech frames.
    seconds : float
        Of speech.
    failures : dict of str to Status
        Recordings that gave no frames.
    notes : dict of str to str
        Recordings whose frames are doubtful, and why.
    n_resumed : int
        Recordings whose frames an interrupted extraction had left.
    """

    n_files: int
    n_frames: int
    seconds: float
    failures: dict[str, Status]
    notes: dict[str, str]
    n_resumed: int = 0

    def reasons(self) -> dict[str, str]:
        """Give why each recording that failed did."""
        return {file: status.reason for file, status in self.failures.items()}

    def warnings(self) -> list[str]:
        """Tell failures and notes in few lines: reasons that are equal make one."""
        by_status: dict[str, dict[str, str]] = {}
        for file, status in self.failures.items():
            by_status.setdefault(status.status, {})[file] = status.reason
        failures = [
            f"{status}: {line}"
            for status, reasons in by_status.items()
            for line in together(reasons)
        ]
        return [*failures, *together(self.notes)]


@dataclass(frozen=True)
class _Recording:
    """What there is to extract: the stamp tells its state and that of its labels."""

    file: str
    path: Path
    segments: Segments | None
    stamp: str
    n_bytes: int
    excerpt: Excerpt = WHOLE


def _recordings(
    paths: Mapping[str, Path],
    labels: Mapping[str, Segments] | None = None,
    excerpts: Mapping[str, Excerpt] | None = None,
) -> Iterator[_Recording]:
    for file, path in paths.items():
        segments = labels[file] if labels else None
        excerpt = excerpts.get(file, WHOLE) if excerpts else WHOLE
        try:
            state = path.stat()
        except OSError:  # the reader says what is wrong with it
            yield _Recording(file, path, segments, fingerprint(str(path)), 0, excerpt)
            continue
        parts = [str(path), state.st_size, state.st_mtime_ns, segments]
        stamp = fingerprint(*parts) if excerpt == WHOLE else fingerprint(*parts, excerpt)
        yield _Recording(file, path, segments, stamp, state.st_size, excerpt)


def _extracted(pipeline: Pipeline, recording: _Recording) -> FrameSet | Status:
    try:
        made = pipeline.extract_file(recording.path, recording.segments, recording.excerpt)
        return replace(made, content=_content(recording.path, recording.excerpt))
    except AudioError as error:
        return failure_of(error)


def _content(path: Path, excerpt: Excerpt) -> str:
    """Give what tells recordings apart: the hash of the file, or of it and of which part it is."""
    if excerpt == WHOLE:
        return content_hash(path)
    state = path.stat()
    known = _hash_of(path, state.st_size, state.st_mtime_ns)
    return sha256(f"{known} {excerpt!r}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _hash_of(path: Path, n_bytes: int, changed: int) -> str:
    """Hash a file once for all its parts, as long as it stays the same."""
    return content_hash(path)


def _extracted_and_kept(
    pipeline: Pipeline, journal: Path, recording: _Recording
) -> KeptFrames | Status:
    """Extract in another process: the way of the frames from there is the journal."""
    result = _extracted(pipeline, recording)
    if isinstance(result, Status):
        return result
    return append_entry(journal, recording.file, recording.stamp, result)


def _extracted_anywhere(
    pipeline: Pipeline, journal: Path, owner: int, recording: _Recording
) -> FrameSet | KeptFrames | Status:
    """Extract in any process: that which has the journal open, `owner`, has the frames at hand."""
    if os.getpid() == owner:
        return _extracted(pipeline, recording)
    return _extracted_and_kept(pipeline, journal, recording)


def _extracted_and_left(
    pipeline: Pipeline, folder: Path, start: Path, recordings: list[_Recording]
) -> tuple[Path, list[KeptFrames | Status]]:
    """Extract on another machine: the way of the frames from there is a file of their own.

    Paths may be relative to `start`, the folder that who asks is in; reasons name them as they are.
    """
    placed = [replace(recording, path=start / recording.path) for recording in recordings]
    for recording in placed:
        if recording.n_bytes:
            check_seen(recording.path, recording.n_bytes)
    left = check_seen(folder) / uuid4().hex
    with whole_file(left, mode=0o600) as path:
        results = [_extracted_and_kept(pipeline, path, recording) for recording in placed]
    for number, (recording, result) in enumerate(zip(recordings, results, strict=True)):
        if isinstance(result, Status):
            reason = result.reason.replace(str(placed[number].path), str(recording.path))
            results[number] = replace(result, reason=reason)
    return left, results


def _all_left(
    journal: ExtractionJournal, pipeline: Pipeline, recordings: list[_Recording]
) -> Generator[Digested | Status, None, None]:
    """Extract recordings by the workers of a cluster, and keep them.

    Files that grow are not for several machines at once, so the workers do not write to the
    journal.
    """
    folder = Path(f"{journal.path}.parts").resolve()
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted extraction; the journal is ours
    folder.mkdir()
    n_bytes = sum(recording.n_bytes for recording in recordings)
    batches = list(_batches(recordings, min(n_bytes // _PARCELS, _PARCEL_BYTES)))
    try:
        work = partial(_extracted_and_left, pipeline, folder, Path.cwd())
        with closing(ordered_map(work, batches, workers="dask")) as done:
            for batch, (left, results) in zip(batches, done, strict=True):
                content = left.read_bytes()
                for recording, result in zip(batch, results, strict=True):
                    if isinstance(result, KeptFrames):
                        found = result.within(content, left)
                        journal.add(recording.file, recording.stamp, found.frames)
                        yield found
                    else:
                        yield result
                left.unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _all_kept(
    journal: ExtractionJournal, pipeline: Pipeline, recordings: list[_Recording], n_workers: int
) -> Generator[Digested | Status, None, None]:
    """Extract recordings and keep them, by the kind of workers that is faster for so much sound."""
    keep_freed_memory()
    if engine_in_force().workers == "dask":
        yield from _all_left(journal, pipeline, recordings)
        return
    workers = _kind_of_workers(sum(recording.n_bytes for recording in recordings), n_workers)
    work: Callable[[_Recording], FrameSet | KeptFrames | Status] = partial(_extracted, pipeline)
    n_bytes = 0
    if workers == "forks":
        pipeline.load()
    if workers != "threads":
        work = partial(_extracted_anywhere, pipeline, journal.path, os.getpid())
        n_bytes = _BATCH_BYTES
    batches = _batches(recordings, n_bytes)
    each = partial(_each, work)
    with closing(ordered_map(each, batches, n_workers, workers)) as done:
        results = (result for batch in done for result in batch)
        for recording, result in zip(recordings, results, strict=True):
            if isinstance(result, FrameSet):
                yield Digested(result, journal.add(recording.file, recording.stamp, result))
            else:
                yield journal.take(result) if isinstance(result, KeptFrames) else result


def _each(function: Callable[[T], R], items: list[T]) -> list[R]:
    return [function(item) for item in items]


def _kind_of_workers(n_bytes: int, n_workers: int) -> str:
    if engine_in_force().workers == "processes":
        return "processes"
    if n_workers > 1 and n_bytes >= _FORKS_FROM and can_fork():
        return "forks"
    return "processes" if n_workers > 1 and n_bytes >= _PROCESSES_FROM else "threads"


def _batches(recordings: list[_Recording], n_bytes: int) -> Iterator[list[_Recording]]:
    """Give recordings in batches that hold at least one, and go on until they have `n_bytes`."""
    batch: list[_Recording] = []
    filled = 0
    for recording in recordings:
        batch.append(recording)
        filled += recording.n_bytes
        if filled >= n_bytes or len(batch) == _BATCH_FILES:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch


def _finished(
    journal: ExtractionJournal, pipeline: Pipeline, recordings: list[_Recording], n_workers: int
) -> Generator[tuple[Digested | Status, bool], None, None]:
    """Give what each recording gives, and whether it had been done before."""
    held = {r.file for r in recordings if journal.holds(r.file, r.stamp)}
    rest = [r for r in recordings if r.file not in held]
    with closing(_all_kept(journal, pipeline, rest, n_workers)) as new:
        for recording in recordings:
            if recording.file not in held:
                yield next(new), False
                continue
            kept = journal.frames_of(recording.file, recording.stamp)
            if kept is not None:
                yield kept, True
            else:  # Damaged in the journal: then once more, here.
                yield from ((r, False) for r in _all_kept(journal, pipeline, [recording], 1))


def extract_to_store(
    paths: Mapping[str, Path],
    pipeline: Pipeline,
    out: str | os.PathLike[str],
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    labels: Mapping[str, Segments] | None = None,
    excerpts: Mapping[str, Excerpt] | None = None,
) -> ExtractionSummary:
    """Extract the features of many recordings into one store.

    A recording that cannot be used stands in the store with its status; the others go on.

    What is finished is kept in ``out`` + ".partial" until the store is there: an extraction that
    was interrupted goes on with the recordings that are left, and gives the same bytes. Recordings
    have changed since (by size or time), or whose labels have, are extracted again.

    The workers are threads, and processes where there is more to do: threads gain less, as they
    wait for each other between the steps, but are there at once. So are copies of this process,
    which are taken where it has no other threads (on Linux). In a block of
    `voicegmm.compute.engine` they are what it says, if that is not threads.

    Parameters
    ----------
    paths : mapping of str to pathlib.Path
        Id -> recording.
    pipeline : Pipeline
    out : path
        The store, made whole or not at all.
    n_workers : int
    progress : callable, optional
        Called with the number of recordings done.
    labels : mapping of str to sequence of (start_seconds, end_seconds, label), optional
        Id -> where there is speech: with speech.method "labels", and only with that. The store
        keeps their fingerprint. Times count from the beginning of the excerpt.
    excerpts : mapping of str to Excerpt, optional
        Id -> which part of the recording is meant, where it is not the whole. Parts of one file are
        recordings of their own.

    Returns
    -------
    ExtractionSummary

    Raises
    ------
    VoicegmmError
        If there is no recording, or none gave frames.
    InUseError
        If another process is making the same store.
    WorkerError
        If a worker process dies. What is finished is kept.
    """
    failures: dict[str, Status] = {}
    notes: dict[str, str] = {}
    n_frames, seconds, n_resumed = 0, 0.0, 0

    recordings = list(_recordings(paths, labels, excerpts))
    with (
        ExtractionJournal(out, pipeline.fingerprint) as journal,
        new_store(out, pipeline, fingerprint(labels) if labels else "") as writer,
        closing(_finished(journal, pipeline, recordings, n_workers)) as results,
    ):
        for number, (recording, (result, resumed)) in enumerate(
            zip(recordings, results, strict=True), 1
        ):
            file = recording.file
            writer.add(file, result)
            n_resumed += resumed
            if isinstance(result, Status):
                failures[file] = result
            else:
                frames = result.frames
                n_frames += len(frames.frames)
                seconds += frames.speech_seconds
                if frames.notes:
                    notes[file] = "; ".join(frames.notes)
            if progress:
                progress(number)
        if paths and len(failures) == len(paths):
            first = next(iter(failures.values()))
            raise VoicegmmError(f"none of {len(paths)} recordings can be used; {first.reason}")
    return ExtractionSummary(len(paths), n_frames, seconds, failures, notes, n_resumed)


def extract_to_memory(
    paths: Mapping[str, Path], pipeline: Pipeline, n_workers: int = 1
) -> MemoryFrames:
    """Extract the features of a few recordings; what cannot be used is among the failures."""
    sets: dict[str, FrameSet] = {}
    failures: dict[str, Status] = {}
    recordings = _recordings(paths)
    results = ordered_map(partial(_extracted, pipeline), recordings, n_workers)
    for file, result in zip(paths, results, strict=True):
        if isinstance(result, Status):
            failures[file] = result
        else:
            sets[file] = result
    return MemoryFrames(pipeline.options, sets, failures)
