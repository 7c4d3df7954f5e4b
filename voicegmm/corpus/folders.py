"""Folders of recordings."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from unicodedata import normalize

from voicegmm._base.errors import ListError
from voicegmm._base.files import content_hash
from voicegmm.audio import Excerpt
from voicegmm.corpus.lists import checked_name
from voicegmm.corpus.utterances import Utterance

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".snd", ".sph", ".w64"}
    | {".rf64", ".caf", ".nist"}
)


def find_recordings(folder: str | Path) -> tuple[Path, ...]:
    """Find the recordings below a folder, sorted.

    Links are followed; hidden files and folders are passed over.

    Raises
    ------
    ListError
        If it is not a folder, or a name holds a tab or a newline.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "no such folder; check the path"
        raise ListError(f"{folder}: {what}")
    found = []
    seen: set[str] = set()
    for place, below, names in os.walk(folder, followlinks=True):
        # A link to a folder counts as that folder; a link to where we came from ends there.
        real = os.path.realpath(place)
        below[:] = [] if real in seen else [name for name in below if name[0] != "."]
        if real in seen:
            continue
        seen.add(real)
        for name in names:
            if name[0] != "." and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                path = Path(place) / name
                checked_name(str(path.relative_to(folder)), "the file name")
                found.append(path)
    return tuple(sorted(found))


def sub_folders(
    folder: str | Path, kind: str, elsewhere: Collection[str] = ()
) -> dict[str, tuple[Path, ...]]:
    """Sort the recordings below a folder by the sub-folder they lie in.

    Parameters
    ----------
    folder : path
    kind : str
        What a sub-folder stands for, as "speaker", for errors.
    elsewhere : collection of str
        Sub-folders that hold lists of recordings in the place of recordings.

    Returns
    -------
    dict of str to tuple of pathlib.Path
        Sorted by name; a sub-folder without a recording has none.

    Raises
    ------
    ListError
        If there is no such folder, or no recording in any sub-folder of it.
    """
    folder = Path(folder)
    recordings = find_recordings(folder)
    named: dict[str, list[Path]] = {
        checked_name(sub.name, f"the {kind}'s folder"): []
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
    }
    for path in recordings:
        parts = path.relative_to(folder).parts
        if len(parts) > 1:
            named[parts[0]].append(path)
    if not elsewhere and not any(named.values()):
        loose = f"; {len(recordings)} lie in the folder itself" if recordings else ""
        raise ListError(
            f"{folder}: no recordings in sub-folders{loose}. "
            f"Expected {folder}/<{kind}>/<recording>.wav, one sub-folder a {kind}"
        )
    look_alike: dict[str, str] = {}
    for name in named:
        other = look_alike.setdefault(normalize("NFC", name), name)
        if other != name:
            raise ListError(
                f"{folder}: two sub-folders look the same, {name!r}: they differ only in how their "
                "accents are written; join them or rename one"
            )
    return {name: tuple(files) for name, files in named.items()}


def shared_recordings(
    speakers: Mapping[str, Sequence[Utterance]],
) -> list[tuple[Path, Path]]:
    """Find recordings that stand under two speakers: the same file, or the same bytes.

    Different parts of one file are different recordings.

    Returns
    -------
    list of (path, path)
        Each with the first that equals it under another speaker.
    """
    by_size: dict[tuple[int, Excerpt], list[tuple[str, Path]]] = {}
    for speaker, utterances in speakers.items():
        for one in utterances:
            if one.path.is_file() and (size := one.path.stat().st_size):
                by_size.setdefault((size, one.excerpt), []).append((speaker, one.path))
    found = []
    for group in by_size.values():
        if len({name for name, _ in group}) < 2:
            continue
        first: dict[str, tuple[str, Path]] = {}
        for name, path in group:
            owner, twin = first.setdefault(content_hash(path), (name, path))
            if owner != name:
                found.append((path, twin))
    return found
