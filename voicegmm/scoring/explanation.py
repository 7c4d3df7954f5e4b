"""What spoke for a speaker, and what against: a log-likelihood ratio taken apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray, frozen
from voicegmm._base.checks import above, finite_frames
from voicegmm._base.errors import DataError
from voicegmm._base.files import write_text
from voicegmm.mixture import DiagonalGMM
from voicegmm.mixture.density import blocks, joint_block, project, responsibilities
from voicegmm.mixture.statistics import checked_weights
from voicegmm.scoring.frames import FrameLibrary, check_front_end
from voicegmm.scoring.models import Speakers, adapted_models

_SPANS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds
_MOST_SPANS = 40


@dataclass(frozen=True, eq=False)
class Explanation:
    """A mean log-likelihood ratio as a sum over frames, and as a sum over components.

    Parameters
    ----------
    name : str
        The speaker.
    ratio : float
        The mean log-likelihood ratio, in nats per frame.
    seconds : (n_frames,) float64 array
        Where each frame begins in the recording.
    weights : (n_frames,) float64 array
        Of the frames in the mean.
    frame_ratios : (n_frames,) float64 array
        The log-likelihood ratio of each frame, in nats: their weighted mean is `ratio`.
    components : (n_frames,) int64 array
        The component that says most for or against the speaker in each frame.
    component_ratios : (n_components,) float64 array
        What each component brings to `ratio`, in nats per frame: their sum is `ratio`.
    hop_seconds : float
        From one frame to the next.
    """

    name: str
    ratio: float
    seconds: Float64Array
    weights: Float64Array
    frame_ratios: Float64Array
    components: IntArray
    component_ratios: Float64Array
    hop_seconds: float

    def __post_init__(self) -> None:
        for name in ("seconds", "weights", "frame_ratios", "component_ratios"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        object.__setattr__(self, "components", frozen(self.components, np.int64))

    @property
    def span_seconds(self) -> float:
        """A round span that cuts the recording into some forty at most, 0.1 s and longer."""
        length = float(self.seconds[-1]) + self.hop_seconds
        return next((span for span in _SPANS if length / span <= _MOST_SPANS), _SPANS[-1])

    def over_time(self, span_seconds: float = 1.0) -> tuple[Float64Array, Float64Array]:
        """Give what each span of the recording brings to the ratio.

        Parameters
        ----------
        span_seconds : float
            Greater than 0.

        Returns
        -------
        starts : (n_spans,) float64 array
            In seconds; spans without a frame are left out.
        ratios : (n_spans,) float64 array
            In nats per frame of the whole recording: their sum is `ratio`.
        """
        above("span_seconds", span_seconds, 0)
        # A frame that begins on the border by all but rounding belongs to the later span.
        number = np.floor(self.seconds / span_seconds + 1e-9).astype(np.int64)
        spans, which = np.unique(number, return_inverse=True)
        shares = self.weights * self.frame_ratios / self.weights.sum()
        starts = spans.astype(np.float64) * span_seconds
        return starts, np.asarray(np.bincount(which, shares, len(spans)), np.float64)


def explain(
    speakers: Speakers,
    name: str,
    frames: FloatArray,
    positions: IntArray | None = None,
    frame_weights: FloatArray | None = None,
) -> Explanation:
    """Take the log-likelihood ratio of a speaker and a recording apart.

    With p = sum_k p_k the speaker's likelihood of a frame and q = sum_k q_k the background's, each
    component brings to log(p / q)

        L(p_k, q_k) / L(p, q) * log(p_k / q_k),    L(a, b) = (a - b) / (log a - log b):

    its own log-ratio, times its posterior, between that under the one and under the other model.
    The sum is log(p / q) without a rest, and a component that the speaker shares with the
    background brings nothing (the logarithmic-mean Divisia method; Ang, "Decomposition analysis for
    policymaking in energy", Energy Policy 32 (2004)).

    Parameters
    ----------
    speakers : SpeakerModels
        Those of a subspace are refused.
    name : str
    frames : (n_frames, n_dims) float array
        At least one frame.
    positions : (n_frames,) int array, optional
        The number of each frame in the recording, where silence was left out; all by default.
    frame_weights : (n_frames,) float array, optional
        1 for every frame by default.

    Returns
    -------
    Explanation

    Raises
    ------
    ListError
        If nobody of that name is enrolled.
    MismatchError
        For speakers of a subspace.
    DataError
        If there are no frames, a frame is not finite, or positions or weights do not fit.
    """
    models = adapted_models(speakers, "an explanation")
    gmm, row = models.background.gmm, models.index(name)
    data: Float64Array = finite_frames(frames, gmm.n_dims).astype(np.float64)
    weights = checked_weights(frame_weights, len(frames))
    weights = np.ones(len(frames)) if weights is None else weights
    places = np.arange(len(frames)) if positions is None else np.asarray(positions)
    if places.shape != (len(frames),):
        raise DataError(f"positions must be ({len(frames)},), one a frame, got {places.shape}")
    if not weights.sum() > 0:
        raise DataError("there must be one frame at least to explain a ratio with")
    adapted = DiagonalGMM(gmm.weights, models.means[row].astype(np.float64), gmm.variances)
    frame_ratios, components = np.empty(len(frames)), np.empty(len(frames), np.int64)
    component_ratios = np.zeros(gmm.n_components)
    for block, ratios, parts in _contributions(gmm, adapted, data):
        frame_ratios[block] = ratios
        components[block] = np.abs(parts).argmax(axis=1)
        component_ratios += weights[block] @ parts
    hop = models.background.front_end.hop_seconds
    return Explanation(
        name,
        float(weights @ frame_ratios / weights.sum()),
        np.asarray(places * hop, np.float64),
        weights,
        frame_ratios,
        components,
        component_ratios / weights.sum(),
        hop,
    )


def explain_trial(
    models: Speakers, name: str, frames: FrameLibrary, files: Sequence[str]
) -> Explanation:
    """Take the log-likelihood ratio of a trial apart.

    Parameters
    ----------
    models : SpeakerModels
    name : str
        The speaker.
    frames : FrameLibrary
    files : sequence of str
        The recordings that the test is made of, all with frames. Of several, each begins where the
        last speech of the one before ended.

    Returns
    -------
    Explanation

    Raises
    ------
    MismatchError
        If the frames come from another front end than the models.
    ListError, DataError
        As `explain`.
    """
    check_front_end(models.background.front_end, frames.front_end, "explanation")
    places: list[IntArray] = []
    for file in files:
        start = places[-1][-1] + 1 if places else 0
        places.append(start + frames.positions(file))
    data, weights = frames.read(files)
    return explain(models, name, data, np.concatenate(places), weights)


def _contributions(
    background: DiagonalGMM, speaker: DiagonalGMM, frames: Float64Array
) -> Iterator[tuple[slice, Float64Array, Float64Array]]:
    """Give, block by block, the ratio of each frame and what each component brings to it."""
    of_speaker, of_background = (project(gmm, frames.dtype) for gmm in (speaker, background))
    for block in blocks(len(frames)):
        p, p_sums, log_p = responsibilities(joint_block(speaker, frames[block], of_speaker)[1])
        q, q_sums, log_q = responsibilities(
            joint_block(background, frames[block], of_background)[1]
        )
        p, q, ratios = p / p_sums[:, None], q / q_sums[:, None], log_p - log_q
        # The logarithmic means cancel but for one: (p_k - q_k) / L(p, q), over the larger of p, q.
        size = np.abs(ratios)[:, None]
        positive = ratios[:, None] >= 0
        less = np.exp(-size)
        difference = np.where(positive, p - q * less, p * less - q)
        with np.errstate(invalid="ignore"):
            mean = np.where(size > 0, size / -np.expm1(-size), 1.0)
        yield block, ratios, difference * mean


def write_explanation(path: str | Path, explanation: Explanation) -> None:
    """Write an explanation as TSV, a line a frame, whole or not at all.

    Columns: seconds, weight, llr (of the frame, in nats), component (counting from 0).
    """
    lines = ["seconds\tweight\tllr\tcomponent"]
    for seconds, weight, ratio, component in zip(
        explanation.seconds.tolist(),
        explanation.weights.tolist(),
        explanation.frame_ratios.tolist(),
        explanation.components.tolist(),
        strict=True,
    ):
        lines.append(f"{round(seconds, 6)!r}\t{weight!r}\t{ratio!r}\t{component}")
    write_text(path, "\n".join(lines) + "\n")
