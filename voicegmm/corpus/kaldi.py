"""Kaldi's data directories: wav.scp, and utt2spk and segments where there are any."""

import re
from collections.abc import Iterable
from pathlib import Path

from voicegmm._base.checks import listed
from voicegmm._base.errors import ListError, OptionError
from voicegmm.audio import WHOLE, Excerpt
from voicegmm.corpus.labels import read_kaldi_segments
from voicegmm.corpus.lists import read_lines
from voicegmm.corpus.utterances import Corpus, Utterance

_IN_ARCHIVE = re.compile(r"\.ark:\d+$")
_PARENTS = 3  # of data/train/..: where its paths may start from


def read_kaldi(folder: Path, root: Path | None = None) -> Corpus:
    """Read a Kaldi data directory.

    With ``segments`` each of its lines is an utterance, cut from the recording of ``wav.scp``;
    without, each recording is one. ``utt2spk`` gives the speakers, where it exists.

    Parameters
    ----------
    folder : pathlib.Path
    root : pathlib.Path, optional
        The folder that relative paths start from; see `relative_root`.

    Raises
    ------
    ListError
        For a recording that is a command: it is never run. For tables that do not go together,
        naming what is missing.
    """
    places = read_recordings(folder / "wav.scp")
    root = relative_root(places.values(), folder, root)
    paths = {recording: root / place for recording, place in places.items()}
    cuts = _segments(folder / "segments", paths) if (folder / "segments").exists() else {
        recording: (path, WHOLE) for recording, path in paths.items()
    }  # fmt: skip
    table = folder / "utt2spk"
    speakers = read_kaldi_table(table) if table.exists() else dict.fromkeys(cuts, "")
    for what, missing in (
        ("are not in utt2spk", [name for name in cuts if name not in speakers]),
        ("stand in utt2spk alone", [name for name in speakers if name not in cuts]),
    ):
        if missing:
            raise ListError(
                f"{folder}: {len(missing)} utterances {what}: {listed(missing)}; mend the "
                "tables (Kaldi's utils/fix_data_dir.sh does)"
            )
    return Corpus(
        folder,
        "kaldi",
        tuple(Utterance(n, path, speakers[n], cut) for n, (path, cut) in cuts.items()),
    )


def read_recordings(path: Path) -> dict[str, str]:
    """Read ``wav.scp``: the path of each recording.

    Raises
    ------
    ListError
        For recordings that are commands (``sox ... |``) or lie in an archive (``x.ark:123``).
    """
    places = read_kaldi_table(path)
    for wrong, what, remedy in (
        (
            [n for n, place in places.items() if "|" in (place[0], place[-1]) or place == "-"],
            "a command, not a path; commands are never run",
            "write what it gives to a file, and name that",
        ),
        (
            [name for name, place in places.items() if _IN_ARCHIVE.search(place)],
            "a place in a Kaldi archive",
            "copy the recordings to files (wav-copy), and name these",
        ),
    ):
        if wrong:
            more = f" (and {len(wrong) - 1} more such lines)" if len(wrong) > 1 else ""
            raise ListError(f"{path}: {wrong[0]}: {what}: {places[wrong[0]]!r}{more}; {remedy}")
    return places


def read_kaldi_table(path: str | Path) -> dict[str, str]:
    """Read a table of Kaldi's: a key, blanks or a tab, a value, which may hold blanks.

    Raises
    ------
    ListError
        For a key without a value, or one that stands twice.
    """
    found: dict[str, str] = {}
    for number, line in read_lines(path):
        fields = line.strip().split(maxsplit=1)
        if len(fields) != 2:
            raise ListError(f"{path}: line {number}: expected a name and a value, got {line!r}")
        key, text = fields
        if key in found:
            raise ListError(f"{path}: line {number}: {key} stands in the list already")
        found[key] = text
    return found


def _segments(path: Path, paths: dict[str, Path]) -> dict[str, tuple[Path, Excerpt]]:
    """Give the recording and the part that each utterance is."""
    found: dict[str, tuple[Path, Excerpt]] = {}
    labels = read_kaldi_segments(path)
    unknown = [recording for recording in labels if recording not in paths]
    if unknown:
        raise ListError(
            f"{path}: {len(unknown)} recordings are not in wav.scp: {listed(unknown)}; mend one "
            "of the two"
        )
    for recording, segments in labels.items():
        for segment in segments:
            if segment.label in found:
                raise ListError(f"{path}: the utterance {segment.label} stands in it twice")
            found[segment.label] = (paths[recording], excerpt_of(path, segment.label, *segment[:2]))
    return found


def excerpt_of(
    path: Path, name: str, start_seconds: float, end_seconds: float, channel: int = 0
) -> Excerpt:
    """Make an excerpt of what a list says of an utterance."""
    try:
        return Excerpt(start_seconds, end_seconds, channel)
    except OptionError as error:
        raise ListError(f"{path}: {name}: {error}") from None


def relative_root(places: Iterable[str], folder: Path, root: Path | None) -> Path:
    """Choose the folder that relative paths start from.

    Kaldi and lhotse mean the folder that their scripts are run from, which no file tells.

    Parameters
    ----------
    places : iterable of str
        The paths.
    folder : pathlib.Path
        Where the list of them lies.
    root : pathlib.Path, optional
        What the user says, which settles it.

    Returns
    -------
    pathlib.Path
        Else the first of these below which the first relative path exists: `folder`, the three
        folders around it, the current one. `folder` where it exists below none.
    """
    relative = next((place for place in places if not Path(place).is_absolute()), "")
    if root is not None or not relative:
        return root or folder
    around = [folder, *list(folder.resolve().parents)[:_PARENTS], Path()]
    return next((place for place in around if (place / relative).exists()), folder)
