"""The voice bank."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voicegmm._base.errors import OptionError, VoicegmmError
from voicegmm._base.files import work_folder
from voicegmm._base.progress import Progress, silent
from voicegmm.bank.answers import Candidate, Identification, Verification
from voicegmm.bank.streaming import StreamVerifier
from voicegmm.bank.training import BankOptions, Training, train_voices
from voicegmm.corpus.lists import checked_name
from voicegmm.features import FrameSet, FrontEnd, pipeline_of
from voicegmm.mixture import accumulate_each
from voicegmm.scoring import (
    Explanation,
    FrameLibrary,
    Status,
    Voices,
    explain,
    posteriors,
    score_recording,
    with_speakers,
)
from voicegmm.scoring.background import in_precision
from voicegmm.scoring.frames import check_front_end, distinct
from voicegmm.scoring.models import Speakers, records_of, too_little_speech
from voicegmm.scoring.records import checked_time
from voicegmm.scoring.removal import contents_under, without_speaker
from voicegmm.store import (
    decrypted,
    extract_to_memory,
    is_encrypted,
    load_voices,
    save_voices,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VoiceBank:
    """People's voices in one file: who is this, or is it nobody I know?

    A bank is a value: `enroll` and `remove` give a new one, `save` writes it.

    Parameters
    ----------
    voices : Voices
    training : Training, optional
        How it was trained; None for a bank that was opened.

    Examples
    --------
    >>> bank = VoiceBank.train("WAVS")                      # doctest: +SKIP
    >>> bank.save("voices.h5")                              # doctest: +SKIP
    >>> VoiceBank.open("voices.h5").identify("x.wav").speaker   # doctest: +SKIP
    """

    voices: Voices
    training: Training | None = None

    @staticmethod
    def train(
        folder: str | os.PathLike[str],
        options: BankOptions | None = None,
        background: str | os.PathLike[str] | None = None,
        n_workers: int = 1,
        progress: Progress = silent,
        enrolled_at: str = "",
        layout: str = "auto",
    ) -> "VoiceBank":
        """Train a bank from ``folder/<speaker>/<recording>``.

        Parameters
        ----------
        folder : path
            Or any corpus whose speakers are known; see `voicegmm.corpus.read_corpus`.
        options : BankOptions, optional
        background : path, optional
            Another such folder, of people who are not enrolled.
        n_workers : int
        progress : callable
            See `voicegmm._base.progress`.
        enrolled_at : str
            The time, for the audit record: UTC, as "2026-01-31T12:00:00Z".
        layout : str
            Of both folders, one of `voicegmm.corpus.LAYOUTS`; "auto": as each looks.

        Raises
        ------
        VoicegmmError
            If there are no recordings, or no speaker with enough speech.
        """
        with work_folder() as work:
            training = train_voices(
                Path(folder),
                work,
                options or BankOptions(),
                Path(background) if background else None,
                n_workers,
                progress,
                enrolled_at,
                layout,
            )
        return VoiceBank(training.voices, training)

    @staticmethod
    def open(path: str | os.PathLike[str], passphrase: str = "") -> "VoiceBank":
        """Open a bank from its file; an encrypted one is decrypted in memory alone.

        Raises
        ------
        EncryptionError
            If it is encrypted and the passphrase is missing or wrong.
        FormatError
            If it is no bank, or is damaged.
        """
        encrypted = passphrase and is_encrypted(path)
        return VoiceBank(load_voices(decrypted(path, passphrase) if encrypted else path))

    def save(self, path: str | os.PathLike[str], passphrase: str = "") -> None:
        """Write the bank, whole or not at all, readable by its owner only.

        Parameters
        ----------
        path : path
        passphrase : str
            What to encrypt it by; empty: it is not encrypted.

        Raises
        ------
        EncryptionError
            Without a passphrase, if the file is there and encrypted.
        """
        save_voices(path, self.voices, passphrase)

    @property
    def names(self) -> tuple[str, ...]:
        """Who is enrolled."""
        return self.voices.speakers.ids

    @property
    def calibrated(self) -> bool:
        """Whether scores mean something."""
        return self.voices.calibration is not None

    def enroll(
        self,
        name: str,
        files: Sequence[str | os.PathLike[str]],
        min_seconds: float = 1.0,
        n_workers: int = 1,
        enrolled_at: str = "",
    ) -> "VoiceBank":
        """Add a speaker, or new speech to one who is enrolled already.

        A recording counts once: one that the speaker was enrolled from already, told by its
        content, is passed over with a warning to the log.

        Parameters
        ----------
        name : str
        files : sequence of path
        min_seconds : float
            Speech that the recordings must hold together, with what enrolled the speaker before.
        n_workers : int
        enrolled_at : str
            The time, for the audit record: UTC, as "2026-01-31T12:00:00Z".

        Raises
        ------
        VoicegmmError
            If a recording cannot be used, or another speaker was enrolled from it, or none is new,
            or there is too little speech.
        """
        checked_time(enrolled_at)
        heard = self.hear(name, files, n_workers)
        return self.enroll_heard(name, heard, min_seconds, enrolled_at)

    def hear(
        self, name: str, files: Sequence[str | os.PathLike[str]], n_workers: int = 1
    ) -> FrameLibrary:
        """Do of `enroll` what takes its time, and does not depend on who is enrolled.

        Raises
        ------
        VoicegmmError
            If a recording cannot be used.
        """
        checked_name(name, "the speaker's name")
        if not files:
            raise VoicegmmError(f"{name}: give at least one recording to enroll from")
        resolved = [Path(file).resolve() for file in files]
        for number, path in enumerate(resolved):
            if path in resolved[:number]:
                raise VoicegmmError(f"{path} is given twice; it would count as twice the speech")
        paths = {str(file): Path(file) for file in files}
        frames = extract_to_memory(paths, pipeline_of(self._front_end), n_workers)
        for status in frames.failures.values():
            raise VoicegmmError(f"{status.reason} ({name} was not enrolled)")
        return frames

    def enroll_heard(
        self, name: str, frames: FrameLibrary, min_seconds: float = 1.0, enrolled_at: str = ""
    ) -> "VoiceBank":
        """Do the rest of `enroll` with what `hear` gave, of this bank or of one with its front end.

        Raises
        ------
        MismatchError
            If the frames are of another front end.
        VoicegmmError
            If another speaker was enrolled from a recording, or none is new, or there is too little
            speech.
        """
        speakers, front_end = self.voices.speakers, self._front_end
        check_front_end(front_end, frames.front_end, f"enrollment of {name}")
        new = _new_recordings(speakers, name, frames, frames.ids)
        training = speakers.background.options
        sources = [in_precision(frames.source([file]), training) for file in new]
        each = list(accumulate_each(speakers.background.gmm, sources))
        seconds = sum(one.n_frames for one in each) * front_end.hop_seconds
        known = speakers.seconds[speakers.index(name)] if name in speakers.ids else 0.0
        if known + seconds < min_seconds:
            raise VoicegmmError(too_little_speech(name, known + seconds, len(new), min_seconds))
        records = records_of(frames, new, enrolled_at)
        enrolled = speakers.with_recordings(name, each, seconds, records)
        return VoiceBank(with_speakers(self.voices, enrolled))

    def remove(self, name: str, removed_at: str = "") -> "VoiceBank":
        """Take a speaker out of the bank, or somebody of its cohort.

        See `voicegmm.scoring.without_speaker`: what goes, and what stays.

        Parameters
        ----------
        name : str
        removed_at : str
            The time: UTC, as "2026-01-31T12:00:00Z".

        Raises
        ------
        ListError
            If there is nothing under this name.
        """
        return VoiceBank(without_speaker(self.voices, name, removed_at))

    def contents(self, name: str) -> tuple[str, ...]:
        """Give the SHA-256 of the recordings that are known under a name."""
        return contents_under(self.voices, name)

    def identify(
        self,
        file: str | os.PathLike[str],
        force: bool = False,
        prior: float | None = None,
    ) -> Identification:
        """Say who speaks in a recording, or that it is nobody known.

        Parameters
        ----------
        file : path
        force : bool
            Give the best speaker's name even where the bank is not calibrated, if its score is
            above zero.
        prior : float, optional
            Probability, before the recording is heard, that the voice is one of the enrolled, each
            alike; in (0, 1). With it the answer tells the posterior of each and of nobody known:
            see `voicegmm.scoring.posteriors`. The name is given by the threshold all the same.

        Raises
        ------
        OptionError
            For a prior outside (0, 1), or one where the bank is not calibrated.
        """
        if prior is not None:
            posteriors([], prior)
            if not self.calibrated:
                raise OptionError(
                    "prior must not be given to a bank that is not calibrated: without likelihood "
                    "ratios there is no posterior"
                )
        made = self._frames(file)
        if isinstance(made, Status):
            return Identification(str(file), made.status, made.reason)
        ranking, promise = self._ranking(made), self.voices.promise
        nobody = None
        if prior is not None:
            each, nobody = posteriors([one.llr or 0.0 for one in ranking], prior)
            ranking = tuple(
                replace(one, posterior=float(share))
                for one, share in zip(ranking, each, strict=True)
            )
        doubts = self._doubts(made)
        speaker = None
        if ranking and promise and self.voices.calibration:
            ratio = float(self.voices.calibration.apply(ranking[0].score, made.speech_seconds))
            if ratio > promise.threshold and (force or not doubts):
                speaker = ranking[0].name
        elif ranking and force and ranking[0].score > 0:
            speaker = ranking[0].name
        return Identification(
            str(file),
            speaker=speaker,
            ranking=ranking,
            threshold=promise.threshold if promise else None,
            forced=force and (promise is None or bool(doubts)),
            seconds=made.speech_seconds,
            notes=(*made.notes, *self._enrolled_from(made), *doubts),
            prior=prior,
            nobody=nobody,
        )

    def verify(
        self,
        name: str,
        file: str | os.PathLike[str],
        threshold: float = 0.0,
        force: bool = False,
    ) -> Verification:
        """Say whether a recording is a certain speaker's.

        Parameters
        ----------
        name : str
        file : path
        threshold : float
            Natural-log likelihood ratio to pass. 0: the evidence must be likelier from the same
            voice than from another. The log of the odds against, weighed by the costs, where they
            are known.
        force : bool
            Decide by the sign of the score even where the bank is not calibrated.

        Raises
        ------
        ListError
            If nobody of that name is enrolled.
        """
        self.voices.speakers.index(name)
        if not np.isfinite(threshold):
            raise OptionError(f"threshold must be a finite number, got {threshold}")
        made = self._frames(file)
        if isinstance(made, Status):
            return Verification(str(file), name, made.status, made.reason)
        (candidate,) = self._ranking(made, [name])
        doubts = self._doubts(made)
        calibration = self.voices.calibration
        accepted = None
        if calibration and (force or not doubts):
            accepted = bool(calibration.apply(candidate.score, made.speech_seconds) > threshold)
        elif force:
            accepted = candidate.score > threshold
        return Verification(
            str(file),
            name,
            accepted=accepted,
            score=candidate.score,
            llr=candidate.llr,
            at_limit=candidate.at_limit,
            threshold=threshold,
            forced=force and (calibration is None or bool(doubts)),
            seconds=made.speech_seconds,
            notes=(*made.notes, *self._enrolled_from(made), *doubts),
        )

    def explain(self, name: str, file: str | os.PathLike[str]) -> Explanation:
        """Take the log-likelihood ratio of a speaker and a recording apart: what spoke for, what
        against; before any normalization or calibration.

        Raises
        ------
        ListError
            If nobody of that name is enrolled.
        VoicegmmError
            If the recording cannot be used.
        """
        made = self._frames(file)
        if isinstance(made, Status):
            raise VoicegmmError(made.reason)
        return explain(self.voices.speakers, name, made.frames, made.positions, made.weights)

    def _enrolled_from(self, made: FrameSet) -> tuple[str, ...]:
        """Say whom this very recording enrolled."""
        owners = self.voices.speakers.owners(made.content)
        return tuple(
            f"{name} was enrolled from this very recording: the ratio to {name} proves nothing"
            for name in owners
        )

    def verifier(self, name: str) -> StreamVerifier:
        """Get ready to verify a speaker while sound arrives; see `StreamVerifier`.

        Raises
        ------
        ListError
            If nobody of that name is enrolled.
        VoicegmmError
            If the bank was not trained for it, saying how to do that.
        """
        return StreamVerifier(self.voices, name)

    def _doubts(self, made: FrameSet) -> tuple[str, ...]:
        """Say why nothing should be decided from a recording."""
        calibration = self.voices.calibration
        if calibration is None or made.speech_seconds >= calibration.min_seconds:
            return ()
        return (
            f"{made.speech_seconds:.1f} s of speech: this bank knows what its scores mean from "
            f"{calibration.min_seconds:.1f} s on, with less the ratios are too extreme; "
            "nothing is decided without --force",
        )

    @property
    def _front_end(self) -> FrontEnd:
        return self.voices.speakers.background.front_end

    def _frames(self, file: str | os.PathLike[str]) -> FrameSet | Status:
        pipeline = pipeline_of(self._front_end)
        made = extract_to_memory({str(file): Path(file)}, pipeline)
        return made.sets.get(str(file)) or made.failures[str(file)]

    def _ranking(self, made: FrameSet, names: Sequence[str] | None = None) -> tuple[Candidate, ...]:
        speakers = self.voices.speakers
        chosen = speakers.chosen(names) if names is not None else speakers
        scores = score_recording(self.voices, made.frames, made.weights, names)
        calibration = self.voices.calibration
        order = np.argsort(-scores, kind="stable")
        if calibration is None:
            return tuple(Candidate(chosen.ids[i], float(scores[i]), None) for i in order)
        ratios, limit = calibration.apply(scores, made.speech_seconds), calibration.limit
        held = np.clip(ratios, -limit, limit)
        return tuple(
            Candidate(chosen.ids[i], float(scores[i]), float(held[i]), bool(held[i] != ratios[i]))
            for i in order
        )


def _new_recordings(
    speakers: Speakers, name: str, frames: FrameLibrary, files: Sequence[str]
) -> list[str]:
    """Give the recordings that a speaker was not enrolled from, each content once.

    Raises
    ------
    VoicegmmError
        If another was enrolled from one of them, or none is new.
    """
    several, twins = distinct(frames, files)
    for file, twin in twins.items():
        log.warning("%s is the same recording as %s and counts once", file, twin)
    new = []
    for file in several:
        owners = speakers.owners(frames.content(file))
        if name in owners:
            when = f" on {owners[name].enrolled_at}" if owners[name].enrolled_at else ""
            log.warning(
                "%s: %s was enrolled from this recording%s; it is passed over", file, name, when
            )
        elif owners:
            other, record = next(iter(owners.items()))
            raise VoicegmmError(
                f"{file}: {other} was enrolled from this recording (as {record.file}); one voice "
                f"under two names would be taken for two. Leave it out, or remove {other} first"
            )
        else:
            new.append(file)
    if not new:
        raise VoicegmmError(f"{name} was enrolled from all of these already; give new recordings")
    return new
