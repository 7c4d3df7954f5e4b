"""What decides which frames are kept."""

from dataclasses import dataclass, field

from voicegmm._base.checks import one_of, within
from voicegmm._base.errors import OptionError
from voicegmm.features.speech.likelihood_ratio import LikelihoodRatioOptions
from voicegmm.features.speech.modulation import ModulationOptions
from voicegmm.features.speech.noise import NoiseFloorOptions

METHODS = (
    "energy",
    "kaldi",
    "two_gaussian",
    "three_gaussian",
    "modulation",
    "likelihood_ratio",
    "labels",
    "none",
)


@dataclass(frozen=True)
class SpeechOptions:
    """Which frames are kept, and how much each counts.

    Parameters
    ----------
    method : {"energy", "kaldi", "two_gaussian", "three_gaussian", "modulation", \
"likelihood_ratio", "labels", "none"}
        "energy": less than `range_db` below the loudest frame, above the quiet ones by
        `rise` of the way up to it, and above `floor_db`. "kaldi": log energy above `threshold` +
        `mean_scale` times its mean (compute-vad-energy). "two_gaussian", "three_gaussian": all
        but the quietest class of a mixture on the level. "modulation": loudness that moves at the
        rate of syllables, and a spectrum other than the noise's. "likelihood_ratio": Sohn, Kim
        and Sung's test, the one for steady noise. The last two learn the noise from the pauses,
        which a word cut out does not have, and take other voices for speech. "labels": segments
        that a file names. "none": every frame.
    output : {"mask", "weight"}
        1 for the frames that pass and 0 for the others, or a weight in [0, 1] with 0.5 where the
        mask changes. Weight of "energy" and "kaldi": logistic in the level, see `softness_db`; of
        the Gaussians: posterior of the loud classes; of "modulation": logistic in the weaker of
        its two measures; of "likelihood_ratio": probability of the speech state after hang-over;
        of "labels" and "none": 0 or 1.
    min_weight : float
        Frames with a smaller weight are dropped, 0.000001 to 1. For "weight" only.
    softness_db : float
        How far above the threshold a frame of "energy" or "kaldi" has the weight 1 / (1 + 1/e) =
        0.73, in dB, 0.01 to 100. For "weight" only.
    range_db : float
        In dB, greater than 0 and at most 200.
    rise : float
        How far above the quiet frames (the 10th percentile of those above `floor_db`) a frame must
        lie, as a share of the way from there to the loudest, in dB; 0 to 0.99. It keeps the noise
        between words out where that is less than `range_db` below the speech. 0 does not look.
    rise_min_seconds : float
        Shorter recordings are single words, cut out: their quiet frames are speech too, `rise` is
        not used and the Gaussians are one class. At least 0.
    floor_db : float
        Frames below this level never count as speech, in dB relative to full scale, -200 to 0.
        -85 lies above the last bit of 16-bit samples (-90): digital silence, dithered or not. Not
        for "kaldi" and "none".
    threshold, mean_scale : float
        Of the rule "kaldi", in natural logarithms of the sum of squares at int16 amplitudes.
    separation : float
        Of the Gaussians: how many standard deviations (Ashman's D) must lie between the quietest
        class and the others, 0 to 100; closer ones are one class, all of it speech. A single
        bell-shaped class has about 1.3 with two Gaussians and 1.8 with three, speech in as much
        noise as itself about 2.
    gaussian_fit : {"converged", "spear"}
        "converged": EM from quantiles. "spear": from the clusters of k-means, on standardized
        levels, at most ten iterations; see `voicegmm.features.speech.gaussians`.
    modulation : ModulationOptions
    likelihood_ratio : LikelihoodRatioOptions
    noise : NoiseFloorOptions
        The noise that "modulation" and "likelihood_ratio" compare with.
    context_frames, proportion : int, float
        A frame counts if at least this proportion of the frames up to `context_frames` (0 to
        1000) before and after it passed the rule. 0 asks the frame alone; 0.5 with one frame or
        more is a median. Weights become their neighborhood's mean over twice the proportion, at
        most 1. Not for "labels" and "none".
    shortest_frames : int
        After that, stretches of speech or of pause shorter than this change sides where their
        neighbors are longer than this (Spear: 10), 0 to 1000; 0 leaves them. For "mask" only, and
        not for "labels" and "none".
    min_range_db : float
        A recording whose frames above the floor span less (5th to 95th percentile of their
        energy) is a steady noise or hum and has no speech; 0 admits it. Not for "labels" and
        "none". White noise spans below 2 dB, a hum of 30 Hz or more below 3.6, the shortest spoken
        digits 5.
    min_speech_seconds : float
        Less speech than this is no speech, at least 0; weights are summed. Not for "none".
    """

    method: str = "energy"
    range_db: float = 30.0
    rise: float = 0.4
    rise_min_seconds: float = 1.0
    floor_db: float = -85.0
    threshold: float = 5.5
    mean_scale: float = 0.5
    context_frames: int = 0
    proportion: float = 0.5
    min_range_db: float = 4.0
    min_speech_seconds: float = 0.1
    output: str = "mask"
    min_weight: float = 0.05
    softness_db: float = 3.0
    separation: float = 1.5
    gaussian_fit: str = "converged"
    shortest_frames: int = 0
    modulation: ModulationOptions = field(default_factory=ModulationOptions)
    likelihood_ratio: LikelihoodRatioOptions = field(default_factory=LikelihoodRatioOptions)
    noise: NoiseFloorOptions = field(default_factory=NoiseFloorOptions)

    def __post_init__(self) -> None:
        one_of("method", self.method, METHODS)
        one_of("output", self.output, ("mask", "weight"))
        within("min_weight", self.min_weight, 1e-6, 1.0)
        within("softness_db", self.softness_db, 0.01, 100.0)
        within("range_db", self.range_db, 1e-3, 200.0)
        within("rise", self.rise, 0.0, 0.99)
        within("rise_min_seconds", self.rise_min_seconds, 0.0, 1e6)
        within("floor_db", self.floor_db, -200.0, 0.0)
        within("threshold", self.threshold, -1e3, 1e3)
        within("mean_scale", self.mean_scale, 0.0, 100.0)
        within("separation", self.separation, 0.0, 100.0)
        one_of("gaussian_fit", self.gaussian_fit, ("converged", "spear"))
        within("shortest_frames", self.shortest_frames, 0, 1000)
        if self.shortest_frames and self.output != "mask":
            raise OptionError(
                f'shortest_frames must be 0 when output is "weight", got {self.shortest_frames}'
            )
        within("context_frames", self.context_frames, 0, 1000)
        within("proportion", self.proportion, 1e-6, 1.0)
        within("min_range_db", self.min_range_db, 0.0, 200.0)
        within("min_speech_seconds", self.min_speech_seconds, 0.0, 1e6)

    @property
    def looks_at_spectra(self) -> bool:
        """Whether the method takes the spectra of the frames, not only their energies."""
        return self.method in ("modulation", "likelihood_ratio")

    def check_bands(self, n_fft: int, sample_rate: int) -> None:
        """Refuse a band that the method looks at and that holds no bin of the spectrum.

        Raises
        ------
        OptionError
        """
        if self.method == "modulation":
            self.modulation.bins(n_fft, sample_rate)
        elif self.method == "likelihood_ratio":
            self.likelihood_ratio.bins(n_fft, sample_rate)
