"""Trials of a model on a recording that it was made from: their scores would prove nothing."""

from collections.abc import Iterator, Sequence

import numpy as np

from voicegmm.corpus import Trials
from voicegmm.scoring.frames import FrameLibrary, Status
from voicegmm.scoring.models import Speakers
from voicegmm.scoring.records import EnrolledRecording

SELF_TRIAL = "self-trial"


def self_trials(
    models: Speakers,
    frames: FrameLibrary,
    trials: Trials,
    files: Sequence[tuple[str, ...]],
) -> Iterator[tuple[int, Status]]:
    """Find the trials whose test holds a recording that enrolled the model.

    Recordings are the same if their contents are, whatever their names; where a content is not
    known, if their names are.

    Parameters
    ----------
    models : Speakers
    frames : FrameLibrary
    trials : Trials
    files : sequence of tuple of str
        The recordings that each test is made of.

    Yields
    ------
    the number of the trial, and the status that it has instead of a score
    """
    by_content: dict[str, list[tuple[int, EnrolledRecording]]] = {}
    by_name: dict[str, list[tuple[int, EnrolledRecording]]] = {}
    for place, model in enumerate(trials.models):
        for record in models.records.get(model, ()):
            by_content.setdefault(record.content, []).append((place, record))
            by_name.setdefault(record.file, []).append((place, record))
    if not by_name:  # nobody's recordings are known
        return
    by_content.pop("", None)
    found: dict[int, Status] = {}  # number of the pair of model and test -> status
    for test, parts in enumerate(files):
        for part in parts:
            content = frames.content(part)
            named = (one for one in by_name.get(part, ()) if not (content and one[1].content))
            for place, record in (*by_content.get(content, ()), *named):
                pair = place * len(files) + test
                found[pair] = _status(trials.models[place], part, record.file)
    if not found:
        return
    pairs = trials.model_index * len(files) + trials.test_index
    for number in np.flatnonzero(np.isin(pairs, list(found))):
        yield int(number), found[int(pairs[number])]


def _status(model: str, file: str, enrolled: str) -> Status:
    twin = "" if enrolled == file else f" (there {enrolled}, with the same content)"
    return Status(
        SELF_TRIAL,
        f"{file}: {model} was enrolled from this recording{twin}; try another recording",
    )
