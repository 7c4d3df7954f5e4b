"""What a voice bank answers."""

from dataclasses import dataclass

from voicegmm.scoring import OK


@dataclass(frozen=True)
class Candidate:
    """One speaker in a ranking.

    Parameters
    ----------
    name : str
    score : float
        Mean log-likelihood ratio per frame against the background model.
    llr : float, optional
        Calibrated natural-log likelihood ratio; None where the bank is not calibrated. Held within
        what the calibration's trials can show (`Calibration.limit`).
    at_limit : bool
        Whether it was held: the evidence is at least this strong.
    posterior : float, optional
        Where a prior was stated: see `voicegmm.scoring.posteriors`.
    """

    name: str
    score: float
    llr: float | None
    at_limit: bool = False
    posterior: float | None = None


@dataclass(frozen=True)
class Identification:
    """Who speaks in a recording, or nobody who is known.

    Parameters
    ----------
    file : str
    status, reason : str
        "ok", or why the recording could not be judged.
    speaker : str, optional
        None: nobody known (or not judged).
    ranking : tuple of Candidate
        All speakers, the best first.
    threshold : float, optional
        Calibrated ratio that the best must pass; None where the bank is not calibrated.
    forced : bool
        A name was given although nothing says what the score means.
    seconds : float
        Speech that was judged.
    notes : tuple of str
        What is doubtful about the recording or the answer.
    prior : float, optional
        As it was stated: the probability, before the recording was heard, that the voice is one of
        the enrolled.
    nobody : float, optional
        The posterior probability that it is nobody known, where a prior was stated.
    """

    file: str
    status: str = OK
    reason: str = ""
    speaker: str | None = None
    ranking: tuple[Candidate, ...] = ()
    threshold: float | None = None
    forced: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    prior: float | None = None
    nobody: float | None = None


@dataclass(frozen=True)
class Verification:
    """Whether a recording is a certain speaker's.

    Parameters
    ----------
    file, name : str
    status, reason : str
        "ok", or why the recording could not be judged.
    accepted : bool, optional
        None: not judged, or nothing says what the score means.
    score : float, optional
        Mean log-likelihood ratio per frame against the background model.
    llr : float, optional
        Calibrated natural-log likelihood ratio.
    at_limit : bool
        As in `Candidate`.
    threshold : float, optional
        What `llr` (or, forced, `score`) must pass.
    forced : bool
        As in `Identification`.
    seconds : float
        Speech that was judged.
    notes : tuple of str
    """

    file: str
    name: str
    status: str = OK
    reason: str = ""
    accepted: bool | None = None
    score: float | None = None
    llr: float | None = None
    at_limit: bool = False
    threshold: float | None = None
    forced: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
