"""Labeled segments: who speaks, or that somebody does, from when to when.

Three kinds of file, told apart by their first line, and a folder of the second kind:

- RTTM (NIST Rich Transcription): ``SPEAKER file channel start duration <NA> <NA> name ...``;
- Audacity's label tracks: ``start<TAB>end<TAB>label``, of the recording named like the file;
- Kaldi's ``segments``: ``utterance recording start end``.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from voicegmm._base.errors import ListError
from voicegmm.corpus.lists import read_lines

# NIST's kinds of line (RT-09 evaluation plan, appendix A); only SPEAKER and SPEECH say where
# somebody speaks.
_RTTM_SPEECH = ("SPEAKER", "SPEECH")
_RTTM_KINDS = (
    *_RTTM_SPEECH,
    *("SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER"),
    *("EDIT", "IP", "SU", "CB", "A/P", "SPKR-INFO"),
)


class LabeledSegment(NamedTuple):
    """A stretch of a recording and what was written about it."""

    start_seconds: float
    end_seconds: float
    label: str


Labels = dict[str, list[LabeledSegment]]


def read_labels(path: str | Path) -> Labels:
    """Read labeled segments of any of the three kinds, or a folder of Audacity's label tracks.

    Parameters
    ----------
    path : path
        A file, or a folder whose ``.txt`` files are label tracks.

    Returns
    -------
    dict of str to list of LabeledSegment
        By recording, in the order of the file.

    Raises
    ------
    ListError
        Naming the file, the line and the value that does not fit.
    """
    path = Path(path)
    if path.is_dir():
        tracks = sorted(path.rglob("*.txt"))
        if not tracks:
            raise ListError(f"{path}: no label tracks (.txt) in this folder or below it")
        return {
            track.relative_to(path).with_suffix("").as_posix(): _audacity(track) for track in tracks
        }
    first = read_lines(path)[0][1]
    if first.startswith((";;", *(kind + " " for kind in _RTTM_KINDS))):
        return read_rttm(path)
    if "\t" in first and _is_number(first.split("\t")[0]):
        return read_audacity_labels(path)
    if len(first.split()) == 4:
        return read_kaldi_segments(path)
    raise ListError(
        f"{path}: line 1: expected labels (RTTM, an Audacity label track, or Kaldi's segments), "
        f"got {first!r}"
    )


def read_rttm(path: str | Path) -> Labels:
    """Read the SPEAKER and SPEECH lines of an RTTM file; comments (``;;``) and other kinds pass.

    Returns
    -------
    dict of str to list of LabeledSegment
        By file id; labels are speakers' names.

    Raises
    ------
    ListError
        For an unknown kind of line, missing fields, a negative time or duration.
    """
    labels: Labels = {}
    for number, line in read_lines(path):
        fields = line.split()
        if line.startswith(";;"):
            continue
        if fields[0] not in _RTTM_KINDS:
            raise _malformed(path, number, f"an RTTM line (SPEAKER ...), got {line!r}")
        if fields[0] not in _RTTM_SPEECH:
            continue
        if len(fields) < 8:
            raise _malformed(path, number, f"at least 8 fields, got {len(fields)}: {line!r}")
        start = _seconds(path, number, "start", fields[3])
        duration = _seconds(path, number, "duration", fields[4])
        segment = LabeledSegment(start, start + duration, fields[7])
        labels.setdefault(fields[1], []).append(segment)
    return labels


def read_audacity_labels(path: str | Path) -> Labels:
    """Read an Audacity label track: the segments of one recording, named like the file.

    Lines with the frequencies of a spectral selection (they begin with a backslash) pass. A
    decimal comma is read as a point.

    Raises
    ------
    ListError
        For a line that has not start, end and perhaps a label between tabs, or ends before it
        starts.
    """
    return {Path(path).stem: _audacity(path)}


def _audacity(path: str | Path) -> list[LabeledSegment]:
    segments = []
    for number, line in read_lines(path):
        fields = line.split("\t")
        if fields[0] == "\\":
            continue
        if len(fields) not in (2, 3):
            raise _malformed(path, number, f"start<TAB>end<TAB>label, got {line!r}")
        label = fields[2].strip() if len(fields) == 3 else ""
        segments.append(_from_to(path, number, fields[0], fields[1], label))
    return segments


def read_kaldi_segments(path: str | Path) -> Labels:
    """Read Kaldi's ``segments``: lines of ``utterance recording start end``.

    Returns
    -------
    dict of str to list of LabeledSegment
        By recording; labels are utterances. An end of -1 is the end of the recording (infinity).

    Raises
    ------
    ListError
        For a line that does not have these four fields, or ends before it starts.
    """
    labels: Labels = {}
    for number, line in read_lines(path):
        fields = line.split()
        if len(fields) != 4:
            raise _malformed(path, number, f"utterance recording start end, got {line!r}")
        utterance, recording, start, end = fields
        if end in ("-1", "-1.0"):
            segment = LabeledSegment(_seconds(path, number, "start", start), math.inf, utterance)
        else:
            segment = _from_to(path, number, start, end, utterance)
        labels.setdefault(recording, []).append(segment)
    return labels


def labels_of(labels: Mapping[str, Iterable[LabeledSegment]], files: Iterable[str]) -> Labels:
    """Find the segments of recordings by their names.

    Parameters
    ----------
    labels : mapping
        As `read_labels` gives it.
    files : iterable of str
        Ids of recordings, as ``s01/a.wav``. Each is looked for as it stands, then without its
        suffix (``s01/a``), then without folders (``a.wav``, ``a``).

    Returns
    -------
    dict of str to list of LabeledSegment
        By id; nothing where a recording has no labels.

    Raises
    ------
    ListError
        When no recording has labels, or two recordings would share those of one name.
    """
    found: Labels = {}
    taken: dict[str, str] = {}
    known = 0
    for file in files:
        path = PurePosixPath(file)
        names = (file, str(path.with_suffix("")), path.name, path.stem)
        name = next((name for name in names if name in labels), None)
        found[file] = [] if name is None else list(labels[name])
        if name is None:
            continue
        known += 1
        if taken.setdefault(name, file) != file:
            raise ListError(
                f"the labels of {name!r} would be those of {taken[name]} and of {file}; name the "
                "recordings in full"
            )
    if found and not known:
        raise ListError(
            f"none of {len(found)} recordings has labels: they are of {', '.join(list(labels)[:3])}"
            f"{' ...' if len(labels) > 3 else ''}, the first recording is {next(iter(found))}"
        )
    return found


def _from_to(path: str | Path, number: int, start: str, end: str, label: str) -> LabeledSegment:
    begin = _seconds(path, number, "start", start)
    stop = _seconds(path, number, "end", end)
    if stop < begin:
        raise _malformed(path, number, f"an end after the start ({start}), got {end}")
    return LabeledSegment(begin, stop, label)


def _seconds(path: str | Path, number: int, name: str, text: str) -> float:
    value = float(text.replace(",", ".")) if _is_number(text) else math.nan
    if not (math.isfinite(value) and value >= 0):
        article = "an" if name == "end" else "a"
        raise _malformed(path, number, f"{article} {name} in seconds, 0 or more, got {text!r}")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _malformed(path: str | Path, number: int, wanted: str) -> ListError:
    return ListError(f"{path}: line {number}: expected {wanted}")
