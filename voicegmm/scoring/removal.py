"""Taking somebody out of some voices, and knowing what stays derived from them."""

from collections.abc import Collection
from dataclasses import replace

from voicegmm.scoring.identification import with_speakers
from voicegmm.scoring.records import Removal
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.scoring.voices import Voices


def contents_under(voices: Voices, name: str) -> tuple[str, ...]:
    """Give the SHA-256 of all recordings that are known under a name: enrolled or of the cohort."""
    found = {record.content for record in voices.speakers.records.get(name, ())}
    if voices.cohort:
        cohort = voices.cohort
        found |= {record.content for record in cohort.models.records.get(name, ())}
        pairs = zip(cohort.voices, cohort.contents, strict=True)
        found |= {content for voice, content in pairs if voice == name}
    return tuple(sorted(found - {""}))


def without_speaker(voices: Voices, name: str, removed_at: str = "") -> Voices:
    """Take somebody out: name, model, statistics, rows of the cohort, record and hashes.

    What is promised is stated anew. Background model, subspace and calibration stay as they were
    learned; `Voices.removals` says whether that was from this voice, too, and nothing of whose it
    was.

    Parameters
    ----------
    voices : Voices
    name : str
        Of somebody who is enrolled, or in the cohort, or could not be enrolled.
    removed_at : str
        The time: UTC, as "2026-01-31T12:00:00Z".

    Raises
    ------
    ListError
        If there is nothing under this name; it tells who is enrolled.
    """
    speakers, cohort = voices.speakers, voices.cohort
    in_cohort = cohort is not None and name in {*cohort.models.ids, *cohort.voices}
    if not in_cohort and name not in voices.not_enrolled:
        speakers.index(name)
    contents = set(contents_under(voices, name))
    background, subspace = speakers.background, speakers.subspace
    removal = Removal(
        removed_at,
        _derives(background.contents, contents),
        _derives(voices.calibrated_from, contents) if voices.calibration else False,
        _derives(subspace.contents, contents) if subspace else False,
    )
    rest = replace(
        speakers.chosen([other for other in speakers.ids if other != name]),
        background=replace(background, contents=_rest(background.contents, contents)),
    )
    if isinstance(rest, SubspaceSpeakers):
        kept = replace(rest.subspace, contents=_rest(rest.subspace.contents, contents))
        rest = replace(rest, subspace=kept)
    left = with_speakers(
        replace(voices, cohort=cohort.without_voices({name}) if cohort else None), rest
    )
    failed = {other: reason for other, reason in left.not_enrolled.items() if other != name}
    return replace(
        left,
        not_enrolled=failed,
        calibrated_from=_rest(voices.calibrated_from, contents),
        removals=(*voices.removals, removal),
    )


def _derives(learned_from: Collection[str] | None, contents: Collection[str]) -> bool | None:
    """Tell whether something was learned from some recordings; None where nobody knows."""
    if learned_from is None or not contents:
        return None
    return not set(contents).isdisjoint(learned_from)


def _rest(
    learned_from: Collection[str] | None, contents: Collection[str]
) -> tuple[str, ...] | None:
    if learned_from is None:
        return None
    return tuple(content for content in learned_from if content not in contents)
