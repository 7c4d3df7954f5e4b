"""lhotse's manifests: lines of JSON that say what recordings, supervisions or cuts there are.

lhotse itself is not needed. Sound is read from files alone: a source that is a command, an address
or bytes within the manifest is refused by name.
"""

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voicegmm._base.errors import ListError
from voicegmm.audio import Excerpt
from voicegmm.corpus.kaldi import excerpt_of, relative_root
from voicegmm.corpus.utterances import Corpus, Utterance

_MOST_LINE = 10_000_000  # characters
SUFFIXES = (".jsonl", ".jsonl.gz")
_RECORDINGS, _SUPERVISIONS, _CUTS = "recordings", "supervisions", "cuts"
_CUT_TYPES = ("MonoCut", "MultiCut")
_NOT_SOUND = ("features_type", "storage_path", "array")


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
    utterances: list[Utterance] = []
    for path in files:
        try:
            utterances += _manifest(path, root)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ListError(f"{path}: not as lhotse writes it: {error!r}") from None
    return Corpus(place, "lhotse", tuple(utterances))


def _manifest(path: Path, root: Path | None) -> Iterator[Utterance]:
    entries = _entries(path)
    first = next(iter(entries.values()))
    if "sources" in first:
        beside = _beside(path, _RECORDINGS, _SUPERVISIONS)
        supervisions = _entries(beside) if beside else {}
        yield from _supervised(path, entries, supervisions, root)
    elif "supervisions" in first or "recording" in first:
        yield from _cut(path, entries, root)
    elif "recording_id" in first and "start" in first:
        beside = _beside(path, _SUPERVISIONS, _RECORDINGS)
        if beside is None:
            raise ListError(
                f"{path}: the recordings of these supervisions are missing: expected them beside "
                f"it, in a file with {_RECORDINGS!r} in the place of {_SUPERVISIONS!r}"
            )
        yield from _supervised(beside, _entries(beside), entries, root)
    else:
        what = "features, not sound" if any(key in first for key in _NOT_SOUND) else "not known"
        raise ListError(
            f"{path}: a manifest of a kind that is {what}; expected recordings, supervisions or "
            "cuts of lhotse"
        )


def _beside(path: Path, kind: str, other: str) -> Path | None:
    """Find the manifest of another kind that has the same name but for it."""
    beside = path.with_name(path.name.replace(kind, other))
    plain = beside.with_name(beside.name.removesuffix(".gz"))
    for found in (beside, plain, plain.with_name(plain.name + ".gz")):
        if found != path and kind in path.name and found.is_file():
            return found
    return None


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """Read a manifest: its entries by their id."""
    found: dict[str, dict[str, Any]] = {}
    try:
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
            for number, line in enumerate(iter(lambda: f.readline(_MOST_LINE), ""), 1):
                if len(line) == _MOST_LINE:
                    raise ListError(f"{path}: line {number}: longer than {_MOST_LINE} characters")
                if not line.strip():
                    continue
                entry = json.loads(line)
                name = entry.get("id") if isinstance(entry, dict) else None
                if not isinstance(name, str) or not name:
                    raise ListError(f"{path}: line {number}: expected an object with an id")
                if name in found:
                    raise ListError(f"{path}: line {number}: {name} stands in it already")
                found[name] = entry
    except FileNotFoundError:
        raise ListError(f"{path}: no such manifest; check the path") from None
    except (OSError, EOFError, UnicodeDecodeError, ValueError, RecursionError, zlib.error) as error:
        raise ListError(f"{path}: cannot be read as lines of JSON: {error}") from None
    if not found:
        raise ListError(f"{path}: the manifest is empty")
    return found


def _supervised(
    path: Path,
    recordings: Mapping[str, dict[str, Any]],
    supervisions: Mapping[str, dict[str, Any]],
    root: Path | None,
) -> Iterator[Utterance]:
    root = relative_root(map(_first_source, recordings.values()), path.parent, root)
    if not supervisions:
        for name, recording in recordings.items():
            file, channel = _file_of(path, recording, None)
            yield Utterance(name, root / file, excerpt=Excerpt(channel=channel))
        return
    for name, one in supervisions.items():
        recording = recordings.get(str(one.get("recording_id")))  # type: ignore[assignment]
        if recording is None:
            raise ListError(
                f"{path}: the recording {one.get('recording_id')!r} of the supervision {name} is "
                "not in it"
            )
        file, channel = _file_of(path, recording, one.get("channel"))
        excerpt = _part(path, name, one, recording, channel)
        yield Utterance(name, root / file, _speaker((one,)), excerpt)


def _cut(path: Path, cuts: Mapping[str, dict[str, Any]], root: Path | None) -> Iterator[Utterance]:
    for name, cut in cuts.items():
        kind = cut.get("type", "MonoCut")
        if kind not in _CUT_TYPES or not isinstance(cut.get("recording"), dict):
            what = f"a {kind}" if kind not in _CUT_TYPES else "a cut without a recording"
            raise ListError(
                f"{path}: {name} is {what}; cuts of one recording are read ({', '.join(_CUT_TYPES)}"
                "), mixtures must be written to files first (CutSet.save_audios)"
            )
    sources = (_first_source(cut["recording"]) for cut in cuts.values())
    root = relative_root(sources, path.parent, root)
    for name, cut in cuts.items():
        file, channel = _file_of(path, cut["recording"], cut.get("channel"))
        excerpt = _part(path, name, cut, cut["recording"], channel)
        yield Utterance(name, root / file, _speaker(cut.get("supervisions") or ()), excerpt)


def _speaker(supervisions: Any) -> str:
    """Give the speaker of supervisions; nothing where they are of several, or of nobody."""
    names = {str(one.get("speaker") or "") for one in supervisions}
    return names.pop() if len(names) == 1 else ""


def _part(
    path: Path, name: str, entry: dict[str, Any], recording: dict[str, Any], channel: int
) -> Excerpt:
    """Say which part of its recording an entry is: the whole, where it says as much."""
    for key in ("start", "duration"):
        if not _is_number(entry.get(key)):
            raise ListError(
                f"{path}: {name}: {key} must be a number of seconds, got {entry.get(key)!r}"
            )
    start, duration = float(entry["start"]), float(entry["duration"])
    if start == 0 and duration == recording.get("duration"):
        return Excerpt(channel=channel)
    # lhotse keeps durations to eight digits: without this a sum would show more.
    return excerpt_of(path, name, start, round(start + duration, 8), channel)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _first_source(recording: dict[str, Any]) -> str:
    sources = recording.get("sources")
    first = sources[0] if isinstance(sources, list) and sources else {}
    return str(first.get("source", "")) if isinstance(first, dict) else ""


def _file_of(path: Path, recording: dict[str, Any], channel: Any) -> tuple[str, int]:
    """Give the file that holds a channel (counted from 0) of a recording, and its number there.

    The number is 0, the average, where all the channels of the file are meant.
    """
    name, sources = recording["id"], recording.get("sources")
    if not isinstance(sources, list) or not sources:
        raise ListError(f"{path}: {name}: has no sources")
    for source in sources:
        if not isinstance(source, dict) or source.get("type") != "file":
            kind = source.get("type") if isinstance(source, dict) else source
            raise ListError(
                f"{path}: {name}: a source of type {kind!r} is refused: sound is read from files "
                "alone, and no command is run; save the recordings as files"
            )
    if recording.get("transforms"):
        raise ListError(
            f"{path}: {name}: the recording is to be transformed ({recording['transforms'][0]}); "
            "save it as a file first"
        )
    wanted = {*(channel if isinstance(channel, list) else [] if channel is None else [channel])}
    for source in sources:
        own = source.get("channels", [0])
        if (wanted and wanted <= {*own}) or (not wanted and len(sources) == 1):
            one = len(wanted) == 1 and len(own) > 1
            return str(source["source"]), own.index(*wanted) + 1 if one else 0
    raise ListError(
        f"{path}: {name}: has {len(sources)} files, and no single one with the channels "
        f"{sorted(wanted) or 'of all'}; supervisions say which by channel"
    )
