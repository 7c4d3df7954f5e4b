"""How a corpus is laid out: recognized by what lies there, and read as it says."""

import re
from pathlib import Path

from voicegmm._base.checks import one_of
from voicegmm._base.errors import ListError, OptionError
from voicegmm.corpus.folders import find_recordings, sub_folders
from voicegmm.corpus.kaldi import read_kaldi
from voicegmm.corpus.lhotse import SUFFIXES, manifests, read_lhotse
from voicegmm.corpus.lists import Enrollment, read_enrollments
from voicegmm.corpus.tables import read_utterances
from voicegmm.corpus.utterances import Corpus, Utterance, speaker_of

LAYOUTS = ("folder", "list", "kaldi", "lhotse", "voxceleb", "librispeech")
"""What `read_corpus` reads: recordings in a folder, our lists, Kaldi's data directories, lhotse's
manifests, VoxCeleb (``id10001/<video>/00001.wav``), LibriSpeech (``19/198/19-198-0001.flac``)."""

_VOXCELEB, _NUMBER = re.compile(r"id\d{5}"), re.compile(r"\d+")


def recognize(place: Path) -> str:
    """Tell the layout of a corpus by what lies there; "folder" where nothing else fits."""
    if not place.is_dir():
        if place.name == "wav.scp":
            return "kaldi"
        return "lhotse" if place.name.endswith(SUFFIXES) else "list"
    if (place / "wav.scp").is_file():
        return "kaldi"
    if manifests(place):
        return "lhotse"
    if _voxceleb_parts(place):
        return "voxceleb"
    return "librispeech" if _librispeech_parts(place) else "folder"


def read_corpus(place: str | Path, layout: str = "auto", root: Path | None = None) -> Corpus:
    """Read what recordings a corpus has.

    Parameters
    ----------
    place : path
        A list or a manifest, or a folder.
    layout : str
        One of `LAYOUTS`, or "auto": as `recognize` tells.
    root : pathlib.Path, optional
        The folder that relative paths of a list, of Kaldi's or lhotse's start from.

    Returns
    -------
    Corpus
        Each utterance under the name that the corpus's own lists have for it, with its speaker
        where the layout tells. Whether the recordings exist is not looked at.

    Raises
    ------
    ListError
        If there is nothing, or not what the layout promises.
    OptionError
        For an unknown layout, or a `root` where paths are relative to the folder itself.
    """
    place = Path(place)
    one_of("layout", layout, ("auto", *LAYOUTS))
    if not place.exists():
        raise ListError(f"{place}: no such list or folder; check the path")
    layout = recognize(place) if layout == "auto" else layout
    if root is not None and layout not in ("list", "kaldi", "lhotse"):
        raise OptionError(
            f"root goes with lists (list, kaldi, lhotse); {place} is a folder ({layout}), whose "
            "recordings are found in it"
        )
    if layout == "kaldi":
        return read_kaldi(place.parent if place.name == "wav.scp" else place, root)
    if layout == "lhotse":
        return read_lhotse(place, root)
    if layout == "list":
        return read_utterances(place, root)
    if layout == "folder":
        return _below(place, layout, [place])
    parts = _voxceleb_parts(place) if layout == "voxceleb" else _librispeech_parts(place)
    return _below(place, layout, parts)


def scan_speakers(
    place: str | Path, layout: str = "auto", root: Path | None = None
) -> dict[str, tuple[Utterance, ...]]:
    """Read a corpus whose speakers are known: of a folder, each sub-folder is one.

    Parameters
    ----------
    place, layout, root
        See `read_corpus`.

    Returns
    -------
    dict of str to tuple of Utterance
        By speaker. Of a folder: sorted by name; one without a recording has none, and recordings
        beside the sub-folders are passed over.

    Raises
    ------
    ListError
        As `read_corpus`; and where a speaker is not known, or a folder has no sub-folder with a
        recording.
    """
    place = Path(place)
    if layout == "auto" and place.exists():
        layout = recognize(place)
    if layout not in ("folder", "auto"):
        return read_corpus(place, layout, root).by_speaker()
    return {
        name: tuple(Utterance(str(path.relative_to(place)), path, name) for path in paths)
        for name, paths in sub_folders(place, "speaker").items()
    }


def read_speakers(path: str | Path) -> dict[str, list[str]]:
    """Read the names of a corpus's recordings by speaker; see `scan_speakers`.

    A plain list names recordings ``<speaker>/...``.
    """
    speakers = scan_speakers(path)
    return {name: [one.name for one in own] for name, own in speakers.items()}


def read_models(place: str | Path) -> tuple[Enrollment, ...]:
    """Read enrollments: a list ``model<TAB>file``, or a folder that is a corpus.

    Of a corpus each speaker is a model, of all of their recordings.
    """
    place = Path(place)
    if not place.is_dir():
        return read_enrollments(place)
    return tuple(Enrollment(name, tuple(own)) for name, own in read_speakers(place).items())


def _below(place: Path, layout: str, parts: list[Path]) -> Corpus:
    """Take all recordings below the parts of a corpus, each named relative to its part."""
    found = [
        Utterance(name := str(path.relative_to(part)), path, speaker_of(name))
        for part in parts
        for path in find_recordings(part)
    ]
    if not found:
        remedy = "; convert VoxCeleb2's .m4a to WAV or FLAC first" if layout == "voxceleb" else ""
        raise ListError(f"{place}: no recordings in this folder or below it{remedy}")
    return Corpus(place, layout, tuple(found))


def _voxceleb_parts(place: Path) -> list[Path]:
    """Find the folders whose sub-folders are VoxCeleb's speakers: dev and test lie side by side."""
    if _holds_voxceleb(place):
        return [place]
    around = [inner for below in _folders(place) for inner in (below, below / "wav")]
    return [part for part in around if part.is_dir() and _holds_voxceleb(part)]


def _holds_voxceleb(folder: Path) -> bool:
    return any(_VOXCELEB.fullmatch(below.name) for below in _folders(folder))


def _librispeech_parts(place: Path) -> list[Path]:
    """Find the folders whose sub-folders are LibriSpeech's speakers: its subsets."""
    if _holds_librispeech(place):
        return [place]
    around = [*_folders(place), *_folders(place / "LibriSpeech")]
    return [part for part in around if _holds_librispeech(part)]


def _holds_librispeech(folder: Path) -> bool:
    speakers = [below for below in _folders(folder) if _NUMBER.fullmatch(below.name)]
    return bool(speakers) and any(map(_is_chapter, _folders(speakers[0])))


def _is_chapter(folder: Path) -> bool:
    name = f"{folder.parent.name}-{folder.name}-"
    numbered = _NUMBER.fullmatch(folder.name) is not None
    return numbered and any(path.name.startswith(name) for path in folder.iterdir())


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if path.name[0] != "." and path.is_dir())
