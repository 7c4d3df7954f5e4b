"""From recordings to a feature store."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voicegmm._base.errors import AudioError, VoicegmmError
from voicegmm._base.options import fingerprint
from voicegmm.compute import ordered_map
from voicegmm.features import FrameSet, Pipeline
from voicegmm.features.pipeline import Segments
from voicegmm.scoring import MemoryFrames, Status, failure_of
from voicegmm.store.features import new_store
from voicegmm.store.journal import ExtractionJournal


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


@dataclass(frozen=True)
class _Finished:
    """What a recording gave; what it depended on; whether it had been done before."""

    result: FrameSet | Status
    stamp: str
    resumed: bool


def _finished(
    journal: ExtractionJournal,
    pipeline: Pipeline,
    file: str,
    path: Path,
    segments: Segments | None,
) -> _Finished:
    stamp = _stamp(path, segments)
    kept = journal.frames_of(file, stamp)
    if kept is not None:
        return _Finished(kept, stamp, resumed=True)
    return _Finished(_extracted(pipeline, path, segments), stamp, resumed=False)


def _stamp(path: Path, segments: Segments | None) -> str:
    """Tell the state of a recording and its labels."""
    try:
        state = path.stat()
    except OSError:  # the reader says what is wrong with it
        return fingerprint(str(path))
    return fingerprint(str(path), state.st_size, state.st_mtime_ns, segments)


def _extracted(
    pipeline: Pipeline, path: Path, segments: Segments | None = None
) -> FrameSet | Status:
    try:
        return pipeline.extract_file(path, segments)
    except AudioError as error:
        return failure_of(error)


def extract_to_store(
    paths: Mapping[str, Path],
    pipeline: Pipeline,
    out: str | os.PathLike[str],
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    labels: Mapping[str, Segments] | None = None,
) -> ExtractionSummary:
    """Extract the features of many recordings into one store.

    A recording that cannot be used stands in the store with its status; the others go on.

    What is finished is kept in ``out`` + ".partial" until the store is there: an extraction that
    was interrupted goes on with the recordings that are left, and gives the same bytes. Recordings
    that have changed since (by size or time), or whose labels have, are extracted again.

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
        Id -> where there is speech: with speech.method "labels", and only with that.

    Returns
    -------
    ExtractionSummary

    Raises
    ------
    VoicegmmError
        If there is no recording, or none gave frames.
    InUseError
        If another process is making the same store.
    """
    failures: dict[str, Status] = {}
    notes: dict[str, str] = {}
    n_frames, seconds, n_resumed = 0, 0.0, 0

    with (
        ExtractionJournal(out, pipeline.fingerprint) as journal,
        new_store(out, pipeline) as writer,
    ):
        work = [(file, path, labels[file] if labels else None) for file, path in paths.items()]
        results = ordered_map(lambda item: _finished(journal, pipeline, *item), work, n_workers)
        for number, (file, done) in enumerate(zip(paths, results, strict=True), 1):
            result = done.result
            writer.add(file, result)
            n_resumed += done.resumed
            if isinstance(result, Status):
                failures[file] = result
            else:
                if not done.resumed:
                    journal.add(file, done.stamp, result)
                n_frames += len(result.frames)
                seconds += result.speech_seconds
                if result.notes:
                    notes[file] = "; ".join(result.notes)
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
    results = ordered_map(lambda path: _extracted(pipeline, path), paths.values(), n_workers)
    for file, result in zip(paths, results, strict=True):
        if isinstance(result, Status):
            failures[file] = result
        else:
            sets[file] = result
    return MemoryFrames(pipeline.options, sets, failures)
