"""The cohort: voices that take no part in the trials, beside which scores are seen."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float64Array, frozen
from voicegmm._base.errors import DataError, MismatchError
from voicegmm.corpus import Enrollment, Trials
from voicegmm.scoring.frames import FrameLibrary, distinct_by_speaker
from voicegmm.scoring.models import Speakers, enroll
from voicegmm.scoring.normalization import ScoreNormalizationOptions, without_own
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.ratio import ScoreKeeper, raw_scores


@dataclass(frozen=True, eq=False)
class Cohort:
    """Models and recordings of other speakers, and how the enrolled ones score on them.

    Parameters
    ----------
    models : Speakers
        Of the cohort's speakers, made as the enrolled ones were.
    voices : tuple of str
        Whose each recording of the cohort is; the models have heard none of them.
    of_cohort : (n_cohort, n_recordings) float64 array
        Scores of the cohort's models on these; NaN where a speaker would meet itself.
    enrolled : tuple of str
        The enrolled speakers that were scored on them.
    of_enrolled : (n_enrolled, n_recordings) float64 array
    contents : tuple of str
        SHA-256 of each recording, empty where it is not known.
    """

    models: Speakers
    voices: tuple[str, ...]
    of_cohort: Float64Array
    enrolled: tuple[str, ...]
    of_enrolled: Float64Array
    contents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shapes = {
            "of_cohort": (len(self.models.ids), len(self.voices)),
            "of_enrolled": (len(self.enrolled), len(self.voices)),
        }
        for name, shape in shapes.items():
            if np.shape(getattr(self, name)) != shape:
                raise DataError(f"{name} must be {shape}, got {np.shape(getattr(self, name))}")
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        if not self.contents:
            object.__setattr__(self, "contents", ("",) * len(self.voices))
        if len(self.contents) != len(self.voices):
            raise DataError(
                f"contents must be of {len(self.voices)} recordings, got {len(self.contents)}"
            )

    def speakers_of(self, content: str) -> set[str]:
        """Give whose recording, enrolling or other, has this content."""
        return self._by_content.get(content, set()) | set(self.models.owners(content))

    @cached_property
    def _by_content(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for content, voice in zip(self.contents, self.voices, strict=True):
            if content:
                found.setdefault(content, set()).add(voice)
        return found

    def without(self, speakers: Speakers) -> "Cohort":
        """Leave out who is enrolled, under the same name or from a recording of the cohort."""
        known = set(speakers.ids)
        for each in speakers.records.values():
            for record in each:
                known |= self.speakers_of(record.content)
        return self.without_voices(known)

    def without_voices(self, known: AbstractSet[str]) -> "Cohort":
        """Leave out some of its speakers: models, recordings and all scores of these."""
        names = [name for name in self.models.ids if name not in known]
        if len(names) == len(self.models.ids) and not known & set(self.voices):
            return self
        rows = [self.models.index(name) for name in names]
        columns = [place for place, voice in enumerate(self.voices) if voice not in known]
        return Cohort(
            self.models.chosen(names),
            tuple(self.voices[place] for place in columns),
            self.of_cohort[np.ix_(rows, columns)],
            self.enrolled,
            self.of_enrolled[:, columns],
            tuple(self.contents[place] for place in columns),
        )

    def of_models(self, names: Sequence[str]) -> Float64Array:
        """Give the rows of `of_enrolled` of some speakers, in their order.

        Raises
        ------
        MismatchError
            If one was enrolled after the cohort was made.
        """
        place = {name: row for row, name in enumerate(self.enrolled)}
        late = [name for name in names if name not in place]
        if late:
            raise MismatchError(
                f"{', '.join(late[:5])}: not scored on the cohort's recordings, which z, zt, s and "
                "as need; make the speakers anew, or normalize by t"
            )
        rows: Float64Array = self.of_enrolled[[place[name] for name in names]]
        return rows

    def kept(self, names: Sequence[str]) -> "Cohort":
        """Keep the scores of some enrolled speakers: those whose models did not change."""
        left = [name for name in self.enrolled if name in names]
        return replace(self, enrolled=tuple(left), of_enrolled=self.of_models(left))


def cohort_size(enrollments: Sequence[Enrollment], recordings: Mapping[str, Sequence[str]]) -> int:
    """Choose how many recordings make a model of the cohort.

    As many as enroll a speaker in earnest, in the median; fewer where most speakers of the cohort
    have no more than so many, for one must be left to each.
    """
    earnest = np.median([len(enrollment.files) for enrollment in enrollments])
    there = np.median([len(files) for files in recordings.values()] or [0]) - 1
    return max(int(min(earnest, there)), 1)


def make_cohort(
    speakers: Speakers,
    frames: FrameLibrary,
    recordings: Mapping[str, Sequence[str]],
    n_enroll: int,
    options: ScoringOptions,
    n_workers: int = 1,
) -> Cohort:
    """Make the cohort of some enrolled speakers.

    Parameters
    ----------
    speakers : Speakers
    frames : FrameLibrary
    recordings : mapping of str to sequence of str
        Speaker of the cohort -> recordings. Those without frames are passed over; a speaker who is
        enrolled, under the same name or from one of these recordings, is left out, and so is one
        without a recording to spare.
    n_enroll : int
        Recordings that make a model of the cohort, the first ones: as many as enroll a speaker in
        earnest. The others are the cohort's recordings.
    options : ScoringOptions
    n_workers : int

    Returns
    -------
    Cohort

    Raises
    ------
    DataError
        If fewer than two speakers are left.
    """
    several = {
        name: files
        for name, files in distinct_by_speaker(frames, recordings).items()
        if len(files) > n_enroll and not _is_enrolled(name, files, speakers, frames)
    }
    if len(several) < 2:
        raise DataError(
            f"a cohort needs two speakers with {n_enroll + 1} usable recordings or more, who are "
            f"not enrolled; there are {len(several)}"
        )
    enrollments = [Enrollment(name, tuple(files[:n_enroll])) for name, files in several.items()]
    models, _ = enroll(
        speakers.background,
        frames,
        enrollments,
        speakers.adaptation,
        n_workers,
        subspace=speakers.subspace,
    )
    tests = [(file,) for files in several.values() for file in files[n_enroll:]]
    voices = tuple(name for name, files in several.items() for _ in files[n_enroll:])
    of_cohort = np.full((len(models.ids), len(tests)), np.nan)
    of_enrolled = np.empty((0, len(tests)))
    enrolled: tuple[str, ...] = ()
    if options.normalization.method == "zt":
        of_cohort = score_all(models, frames, tests, options, n_workers).T
    if options.normalization.needs_recordings:
        of_enrolled = score_all(speakers, frames, tests, options, n_workers).T
        enrolled = speakers.ids
    of_cohort = without_own(of_cohort, models.ids, voices)
    contents = tuple(frames.content(file) for (file,) in tests)
    return Cohort(models, voices, of_cohort, enrolled, of_enrolled, contents)


def _is_enrolled(name: str, files: Sequence[str], speakers: Speakers, frames: FrameLibrary) -> bool:
    return name in speakers.ids or any(speakers.owners(frames.content(file)) for file in files)


def score_all(
    models: Speakers,
    frames: FrameLibrary,
    tests: Sequence[tuple[str, ...]],
    options: ScoringOptions,
    n_workers: int = 1,
    keeper: ScoreKeeper | None = None,
) -> Float64Array:
    """Score every test against every model, not normalized.

    Parameters
    ----------
    models : Speakers
    frames : FrameLibrary
    tests : sequence of tuple of str
        The recordings that each test is made of, all with frames.
    options : ScoringOptions
    n_workers : int
    keeper : ScoreKeeper, optional
        What it kept is not computed again.

    Returns
    -------
    (n_tests, n_models) float64 array
    """
    n_tests, n_models = len(tests), len(models.ids)
    numbers = np.arange(n_tests * n_models)
    names = tuple(str(number) for number in range(n_tests))
    trials = Trials(
        models.ids,
        names,
        (numbers % n_models).astype(np.intp),
        (numbers // n_models).astype(np.intp),
        np.full(len(numbers), -1),
    )
    raw = replace(options, normalization=ScoreNormalizationOptions())
    scores = np.empty(len(numbers))
    found = raw_scores(models, frames, trials, tests, numbers, raw, n_workers, keeper)
    for places, values in found:
        scores[places] = values
    return scores.reshape(n_tests, n_models)
