"""lhotse's manifests: lines of JSON that say what recordings, supervisions or cuts there are.

lhotse itself is not needed. Sound is read from files alone: a source that is a command, an address
or bytes within the manifest is refused by name.
"""

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from voicegmm._base.errors import ListError
from voicegmm.audio import Excerpt
from voicegmm.corpus.kaldi import excerpt_of, relative_root
from voicegmm.corpus.lists import checked_name
from voicegmm.corpus.utterances import Corpus, Utterance

_MOST_LINE = 10_000_000  # bytes: a few kilobytes of gzip may unpack to any length
_MOST_EXPANDED, _MOST_BLANK = 100, 1000
SUFFIXES = (".jsonl", ".jsonl.gz")
_RECORDINGS, _SUPERVISIONS, _CUTS = "recordings", "supervisions", "cuts"
_CUT_TYPES = ("MonoCut", "MultiCut")
_NOT_SOUND = ("features_type", "storage_path", "array")

T = TypeVar("T")


@dataclass(frozen=True)
class _Source:
    """Where some channels of a recording are, counted from 0."""

    source: Any
    type: str = ""
    channels: list[int] = field(default_factory=lambda: [0])


@dataclass(frozen=True)
class _Recording:
    id: str
    sources: list[_Source]
    duration: float = math.nan
    transforms: list[Any] | None = None


@dataclass(frozen=True)
class _Supervision:
    id: str
    recording_id: str
    start: float
    duration: float
    channel: int | list[int] | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class _Cut:
    id: str
    start: float
    duration: float
    recording: _Recording
    channel: int | list[int] | None = None
    supervisions: list[_Supervision] = field(default_factory=list)


def manifests(folder: Path) -> list[Path]:
    """Give the manifests of recordings in a folder, or else of cuts, by name."""
    found = [path for path in sorted(folder.iterdir()) if path.name.endswith(SUFFIXES)]
    for kind in (_RECORDINGS, _CUTS):
        if any(kind in path.name for path in found):
            return [path for path in found if kind in path.name]
    return []


def read_lhotse(place: Path, root: Path | None = None) -> Corpus:
    """Read lhotse's manifests.

    An utterance is a supervision; a recording, where there are no supervisions; or a cut. A cut's
    speaker is that of its supervisions, if they agree.

    Parameters
    ----------
    place : pathlib.Path
        A manifest: of recordings (with the supervisions of the same name beside it, if they are
        there), of supervisions (with the recordings beside it) or of cuts. Or a folder: all
        manifests of recordings in it, else all of cuts.
    root : pathlib.Path, optional
        The folder that relative paths start from; see `relative_root`.

    Raises
    ------
    ListError
        Naming the line that does not fit.
    """
    files = manifests(place) if place.is_dir() else [place]
    utterances = [one for path in files for one in _manifest(path, root)]
    return Corpus(place, "lhotse", tuple(utterances))


def _manifest(path: Path, root: Path | None) -> Iterator[Utterance]:
    """Give the utterances of a manifest, whose first entry tells its kind."""
    entries = _entries(path)
    first = next(iter(entries.values()))
    if "sources" in first:
        beside = _beside(path, _RECORDINGS, _SUPERVISIONS)
        supervisions = _all(beside, _entries(beside), _Supervision) if beside else {}
        yield from _supervised(path, _all(path, entries, _Recording), supervisions, root)
    elif "supervisions" in first or "recording" in first:
        yield from _cut(path, entries, root)
    elif "recording_id" in first:
        beside = _beside(path, _SUPERVISIONS, _RECORDINGS)
        if beside is None:
            raise ListError(
                f"{path}: the recordings of these supervisions are missing: expected them beside "
                f"it, in a file with {_RECORDINGS!r} in the place of {_SUPERVISIONS!r}"
            )
        recordings = _all(beside, _entries(beside), _Recording)
        yield from _supervised(beside, recordings, _all(path, entries, _Supervision), root)
    else:
        what = "features, not sound" if any(key in first for key in _NOT_SOUND) else "not known"
        raise ListError(
            f"{path}: a manifest of a kind that is {what}; expected recordings, supervisions or "
            "cuts of lhotse (where it lies in a folder of recordings: --layout folder)"
        )


def _beside(path: Path, kind: str, other: str) -> Path | None:
    """Find the manifest of another kind that has the same name but for it."""
    plain = path.name.removesuffix(".gz").replace(kind, other)
    for name in (plain + ".gz", plain):
        if kind in path.name and path.with_name(name).is_file():
            return path.with_name(name)
    return None


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """Read a manifest: its entries by their id."""
    found: dict[str, dict[str, Any]] = {}
    n_blank, n_bytes = 0, 0
    try:
        most = _MOST_LINE + _MOST_EXPANDED * path.stat().st_size
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_MOST_LINE), b""), 1):
                if len(line) == _MOST_LINE:
                    raise ListError(f"{path}: line {number}: longer than {_MOST_LINE} bytes")
                n_bytes += len(line)
                n_blank += not line.strip()
                if n_bytes > most or n_blank > _MOST_BLANK:
                    raise ListError(f"{path}: line {number}: unpacks to far too much, or nothing")
                if not line.strip():
                    continue
                entry = msgspec.json.decode(line)
                name = entry.get("id") if isinstance(entry, dict) else None
                if not isinstance(name, str) or not name:
                    raise ListError(f"{path}: line {number}: expected an object with an id")
                if name in found:
                    raise ListError(f"{path}: line {number}: {name} stands in it already")
                found[checked_name(name)] = entry
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise ListError(f"{path}: cannot be read as lines of JSON: {error}") from None
    if not found:
        raise ListError(f"{path}: the manifest is empty")
    return found


def _all(path: Path, entries: Mapping[str, dict[str, Any]], kind: type[T]) -> dict[str, T]:
    return {name: _made(path, name, entry, kind) for name, entry in entries.items()}


def _made(path: Path, name: str, entry: dict[str, Any], kind: type[T]) -> T:
    """Check an entry; what it says beside what is looked at passes."""
    try:
        return msgspec.convert(entry, kind)
    except msgspec.ValidationError as error:
        raise ListError(f"{path}: {name}: {str(error)[:1].lower()}{str(error)[1:]}") from None


def _supervised(
    path: Path,
    recordings: Mapping[str, _Recording],
    supervisions: Mapping[str, _Supervision],
    root: Path | None,
) -> Iterator[Utterance]:
    files = {name: _files(path, one) for name, one in recordings.items()}
    root = relative_root((file for own in files.values() for file in own), path.parent, root)
    if not supervisions:
        for name, recording in recordings.items():
            file, channel = _file_of(path, recording, None)
            yield Utterance(name, root / file, excerpt=Excerpt(channel=channel))
        return
    for name, one in supervisions.items():
        if one.recording_id not in recordings:
            raise ListError(
                f"{path}: the recording {one.recording_id!r} of the supervision {name} is not in it"
            )
        recording = recordings[one.recording_id]
        file, channel = _file_of(path, recording, one.channel)
        yield Utterance(name, root / file, _speaker([one]), _part(path, one, recording, channel))


def _cut(path: Path, entries: Mapping[str, Any], root: Path | None) -> Iterator[Utterance]:
    for name, entry in entries.items():
        kind = entry.get("type", "MonoCut")
        if kind not in _CUT_TYPES or not entry.get("recording"):
            what = f"a {kind}" if kind not in _CUT_TYPES else "a cut without a recording"
            raise ListError(
                f"{path}: {name} is {what}; cuts of one recording are read ({', '.join(_CUT_TYPES)}"
                "), mixtures must be written to files first (CutSet.save_audios)"
            )
    cuts = _all(path, entries, _Cut)
    files = (file for one in cuts.values() for file in _files(path, one.recording))
    root = relative_root(files, path.parent, root)
    for name, cut in cuts.items():
        file, channel = _file_of(path, cut.recording, cut.channel)
        excerpt = _part(path, cut, cut.recording, channel)
        yield Utterance(name, root / file, _speaker(cut.supervisions), excerpt)


def _speaker(supervisions: Sequence[_Supervision]) -> str:
    """Give the speaker of supervisions; nothing where they are of several, or of nobody."""
    names = {one.speaker or "" for one in supervisions}
    return names.pop() if len(names) == 1 else ""


def _part(path: Path, entry: _Supervision | _Cut, recording: _Recording, channel: int) -> Excerpt:
    """Say which part of its recording an entry is: the whole, where it says as much."""
    start, duration = entry.start, entry.duration
    if start == 0 and duration == recording.duration:
        return Excerpt(channel=channel)
    # lhotse keeps durations to eight digits: without this a sum would show more.
    return excerpt_of(path, entry.id, start, round(start + duration, 8), channel)


def _files(path: Path, recording: _Recording) -> list[str]:
    """Give the files of a recording, and refuse what is no file."""
    name = recording.id
    if not recording.sources:
        raise ListError(f"{path}: {name}: has no sources")
    for source in recording.sources:
        if source.type != "file" or not isinstance(source.source, str):
            raise ListError(
                f"{path}: {name}: a source of type {source.type!r} is refused: sound is read from "
                "files alone, and no command is run; save the recordings as files"
            )
    if recording.transforms:
        raise ListError(
            f"{path}: {name}: the recording is to be transformed ({recording.transforms[0]}); "
            "save it as a file first"
        )
    return [source.source for source in recording.sources]


def _file_of(path: Path, recording: _Recording, channel: int | list[int] | None) -> tuple[str, int]:
    """Give the file that holds the channels (from 0) that are meant, and which of its channels.

    The number is 0, the average, where all the channels of the file are meant.
    """
    sources = recording.sources
    wanted = set() if channel is None else {channel} if isinstance(channel, int) else {*channel}
    for source in sources:
        own = source.channels
        if (wanted and wanted <= {*own}) or (not wanted and len(sources) == 1):
            if len(own) == 1 or wanted in (set(), {*own}):
                return source.source, 0
            if len(wanted) == 1:
                return source.source, own.index(*wanted) + 1
    raise ListError(
        f"{path}: {recording.id}: has {len(sources)} files, and no single one with the channels "
        f"{sorted(wanted) or 'of all'}, alone or all of its own; supervisions say which by channel"
    )
