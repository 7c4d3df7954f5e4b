"""From recordings to a feature store."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from voicegmm._base.errors import AudioError, VoicegmmError
from voicegmm._base.files import content_hash
from voicegmm._base.options import fingerprint
from voicegmm.compute import ordered_map
from voicegmm.features import FrameSet, Pipeline
from voicegmm.features.pipeline import Segments
from voicegmm.scoring import MemoryFrames, Status, failure_of
from voicegmm.store.features import new_store
from voicegmm.store.journal import ExtractionJournal

# Of recordings, in bytes: with less, processes would not gain what they take to start.
_PROCESSES_FROM = 400_000_000
# What a process is given and gives back at once: large enough that the way does not count.
_BATCH_BYTES, _BATCH_FILES = 2_500_000, 64


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
class _Recording:
    """What there is to extract: the stamp tells its state and that of its labels."""

    file: str
    path: Path
    segments: Segments | None
    stamp: str
    n_bytes: int


def _recordings(
    paths: Mapping[str, Path], labels: Mapping[str, Segments] | None = None
) -> Iterator[_Recording]:
    for file, path in paths.items():
        segments = labels[file] if labels else None
        try:
            state = path.stat()
        except OSError:  # the reader says what is wrong with it
            yield _Recording(file, path, segments, fingerprint(str(path)), 0)
            continue
        stamp = fingerprint(str(path), state.st_size, state.st_mtime_ns, segments)
        yield _Recording(file, path, segments, stamp, state.st_size)


def _extracted(pipeline: Pipeline, recording: _Recording) -> FrameSet | Status:
    try:
        made = pipeline.extract_file(recording.path, recording.segments)
        return replace(made, content=content_hash(recording.path))
    except AudioError as error:
        return failure_of(error)


def _batch_extracted(pipeline: Pipeline, batch: list[_Recording]) -> list[FrameSet | Status]:
    return [_extracted(pipeline, recording) for recording in batch]


def _all_extracted(
    pipeline: Pipeline, recordings: list[_Recording], n_workers: int
) -> Iterator[FrameSet | Status]:
    """Extract recordings, by the kind of workers that is faster for so much sound."""
    processes = n_workers > 1 and sum(r.n_bytes for r in recordings) >= _PROCESSES_FROM
    batches = _batches(recordings, _BATCH_BYTES if processes else 0)
    workers = "processes" if processes else "threads"
    for results in ordered_map(partial(_batch_extracted, pipeline), batches, n_workers, workers):
        yield from results


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
) -> Iterator[tuple[FrameSet | Status, bool]]:
    """Give what each recording gives, and whether it had been done before."""
    held = {r.file for r in recordings if journal.holds(r.file, r.stamp)}
    new = _all_extracted(pipeline, [r for r in recordings if r.file not in held], n_workers)
    for recording in recordings:
        if recording.file not in held:
            yield next(new), False
            continue
        frames = journal.frames_of(recording.file, recording.stamp)
        # Damaged in the journal: then once more, here.
        yield frames or _extracted(pipeline, recording), frames is not None


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
    have changed since (by size or time), or whose labels have, are extracted again.

    The workers are threads, and processes where there is much to do: threads gain less, as they
    wait for each other between the steps, but are there at once.

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
        keeps their fingerprint.

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

    with (
        ExtractionJournal(out, pipeline.fingerprint) as journal,
        new_store(out, pipeline, fingerprint(labels) if labels else "") as writer,
    ):
        recordings = list(_recordings(paths, labels))
        results = _finished(journal, pipeline, recordings, n_workers)
        for number, (recording, (result, resumed)) in enumerate(
            zip(recordings, results, strict=True), 1
        ):
            file = recording.file
            writer.add(file, result)
            n_resumed += resumed
            if isinstance(result, Status):
                failures[file] = result
            else:
                if not resumed:
                    journal.add(file, recording.stamp, result)
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
    results = _all_extracted(pipeline, list(_recordings(paths)), n_workers)
    for file, result in zip(paths, results, strict=True):
        if isinstance(result, Status):
            failures[file] = result
        else:
            sets[file] = result
    return MemoryFrames(pipeline.options, sets, failures)
