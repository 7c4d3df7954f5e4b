"""What was made from certain recordings: which files below a folder, as far as they tell."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from voicegmm._base.errors import EncryptionError, VoicegmmError
from voicegmm.scoring import BackgroundModel, JudgedClasses, Voices
from voicegmm.store.classes import CLASSES_FORMAT, load_classes
from voicegmm.store.encryption import START as ENCRYPTED_START
from voicegmm.store.features import FORMAT as FEATURES_FORMAT
from voicegmm.store.features import FeatureStore
from voicegmm.store.hdf5 import HDF5_START, open_file
from voicegmm.store.models import SPEAKERS_FORMAT, UBM_FORMAT, load_background, load_voices
from voicegmm.store.sealing import SEAL_START
from voicegmm.store.subspace import SUBSPACE_FORMAT, load_subspace

_STARTS = (SEAL_START, HDF5_START, ENCRYPTED_START)
_UNFINISHED = ".partial"
_STAGES = "stages.json"  # what makes a folder that of a run


@dataclass(frozen=True)
class Trace:
    """Something that derives from recordings that were looked for.

    Parameters
    ----------
    place : str
        A file, or the folder of a run.
    what : str
        "features", "background model", "subspace", "calibration", "speaker model of NAME",
        "class NAME", "cohort" or "run".
    n_recordings : int
        How many of them.
    """

    place: str
    what: str
    n_recordings: int


@dataclass(frozen=True)
class Traces:
    """What a search has found.

    Parameters
    ----------
    found : tuple of Trace
    untold : dict of str to str
        Files that could not be asked, with the reason.
    """

    found: tuple[Trace, ...] = ()
    untold: dict[str, str] = field(default_factory=dict)


def _traces_in_voices(voices: Voices, contents: Collection[str], place: str) -> Traces:
    """Tell what of some voices derives from recordings."""
    wanted = set(contents)
    background, speakers = voices.speakers.background, voices.speakers
    groups: dict[str, Collection[str] | None] = {"background model": background.contents}
    if speakers.subspace:
        groups["subspace"] = speakers.subspace.contents
    if voices.calibration:
        groups["calibration"] = voices.calibrated_from
    for name, records in speakers.records.items():
        groups[f"speaker model of {name}"] = [record.content for record in records]
    if voices.cohort:
        enrolling = voices.cohort.models.records.values()
        own = [record.content for records in enrolling for record in records]
        groups["cohort"] = {*own, *voices.cohort.contents}
    return _traces(place, groups, wanted)


def _groups_of_classes(judged: JudgedClasses) -> dict[str, Collection[str] | None]:
    """Give what each part of some classes derives from; None where it is not known."""
    each = {f"class {one.name}": one.contents for one in judged.models.classes}
    known = [contents for contents in each.values() if contents is not None]
    everything = set(chain(*known)) if len(known) == len(each) else None
    # All of it has heard all recordings, where one model was adapted to each class.
    groups: dict[str, Collection[str] | None] = {**each}
    if judged.models.options.adaptation:
        groups = dict.fromkeys(each, everything)
    if judged.calibration:
        groups["calibration"] = everything
    return groups


def find_traces(
    folders: Collection[str | os.PathLike[str]],
    contents: Collection[str],
    skip: Collection[str | os.PathLike[str]] = (),
) -> Traces:
    """Look for what derives from recordings, by their SHA-256, in all our files below folders.

    Feature stores, background models, subspaces, speakers with their calibration and cohort,
    classes, and the runs that hold them (whose scores and reports derive from it too). Links are
    not followed.

    Parameters
    ----------
    folders : collection of path
    contents : collection of str
        SHA-256, in hex.
    skip : collection of path
        Files that are not looked into.

    Raises
    ------
    VoicegmmError
        If a folder is none.
    """
    wanted, passed = set(contents), {Path(path).resolve() for path in skip}
    found: dict[tuple[str, str], int] = {}
    untold: dict[str, str] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise VoicegmmError(f"{folder}: no such folder to look in")
        for path in _candidates(folder):
            if path.resolve() in passed:
                continue
            told = _traces_in_file(path, wanted)
            untold |= told.untold
            found |= {(trace.place, trace.what): trace.n_recordings for trace in told.found}
            if told.found and (run := _run_of(path, folder)):
                key = str(run), "run"
                most = max(trace.n_recordings for trace in told.found)
                found[key] = max(found.get(key, 0), most)
    return Traces(tuple(Trace(*key, number) for key, number in found.items()), untold)


def _candidates(folder: Path) -> Iterator[Path]:
    for place, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file() and not path.is_symlink() and _may_be_ours(path):
                yield path


def _may_be_ours(path: Path) -> bool:
    if path.suffix == _UNFINISHED:
        return True
    try:
        with path.open("rb") as file:
            return file.read(max(map(len, _STARTS))).startswith(_STARTS)
    except OSError:  # whoever opens it says what is wrong with it
        return True


def _run_of(path: Path, top: Path) -> Path | None:
    """Give the run folder that a file lies in: a system of several lies below the run's."""
    above = [folder for folder in path.parents if folder == top or top in folder.parents]
    runs = [folder for folder in above if (folder / _STAGES).is_file()]
    return runs[-1] if runs else None


def _traces_in_file(path: Path, wanted: set[str]) -> Traces:
    place = str(path)
    if path.suffix == _UNFINISHED:
        return Traces(untold={place: "unfinished: finish it, or remove it"})
    try:
        with open_file(path) as file:
            kind = str(file.attrs["format"])
        if kind == FEATURES_FORMAT:
            with FeatureStore(path) as store:
                known = [store.content(file) for file in store.ids]
            groups = {"features": known if any(known) else None}
            return _traces(place, groups, wanted)
        if kind == UBM_FORMAT:
            model: BackgroundModel = load_background(path)
            return _traces(place, {"background model": model.contents}, wanted)
        if kind == SUBSPACE_FORMAT:
            return _traces(place, {"subspace": load_subspace(path).contents}, wanted)
        if kind == SPEAKERS_FORMAT:
            return _traces_in_voices(load_voices(path), wanted, place)
        if kind == CLASSES_FORMAT:
            return _traces(place, _groups_of_classes(load_classes(path)), wanted)
    except EncryptionError:
        return Traces(untold={place: "encrypted"})
    except VoicegmmError as error:
        return Traces(untold={place: str(error).removeprefix(f"{place}: ")})
    return Traces(untold={place: f"{kind} does not tell what it was made from"})


def _traces(place: str, groups: Mapping[str, Collection[str] | None], wanted: set[str]) -> Traces:
    found = [
        Trace(place, what, len(wanted.intersection(contents)))
        for what, contents in groups.items()
        if contents is not None and not wanted.isdisjoint(contents)
    ]
    silent = [what for what, contents in groups.items() if contents is None]
    reason = f"{' and '.join(silent)}: what it was learned from is not on record"
    return Traces(tuple(found), {place: reason} if silent else {})
