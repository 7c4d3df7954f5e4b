"""The two companding laws of the telephone, exactly.

ITU-T Recommendation G.711 (1988), tables 1a..2b; the integer arithmetic is that of the ITU-T
Software Tool Library (G.191), module g711, which also says how a 16-bit sample becomes the 14 bits
of the mu-law and the 13 bits of the A-law: by dropping the lowest.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float32Array
from voicegmm._base.checks import one_of

Law = Literal["mu", "a"]
LAWS: Final[tuple[Law, ...]] = ("mu", "a")

Int16Array = npt.NDArray[np.int16]
ByteArray = npt.NDArray[np.uint8]


def g711_encode(samples: Int16Array, law: Law = "mu") -> ByteArray:
    """Turn 16-bit samples into the bytes of a G.711 line.

    Parameters
    ----------
    samples : (n_samples,) int16 array
        Linear PCM.
    law : {"mu", "a"}
        North America and Japan, or the rest.

    Returns
    -------
    (n_samples,) uint8 array
    """
    one_of("law", law, LAWS)
    x = np.asarray(samples, dtype=np.int16).astype(np.int32)
    positive = np.where(x >= 0, 0x80, 0)
    magnitude = np.where(x < 0, ~x, x)
    if law == "mu":
        biased = np.minimum((magnitude >> 2) + 33, 0x1FFF)
        segment = np.frexp(biased >> 6)[1] + 1
        code = ((8 - segment) << 4) | (0xF - ((biased >> segment) & 0xF)) | positive
    else:
        steps = magnitude >> 4
        exponent = np.frexp(steps >> 4)[1]
        mantissa = np.where(exponent > 0, (steps >> np.maximum(exponent - 1, 0)) - 16, steps)
        code = (mantissa + (exponent << 4) | positive) ^ 0x55
    coded: ByteArray = code.astype(np.uint8)
    return coded


def g711_decode(code: ByteArray, law: Law = "mu") -> Int16Array:
    """Turn the bytes of a G.711 line into 16-bit samples.

    Parameters
    ----------
    code : (n_samples,) uint8 array
        What `g711_encode` gives.
    law : {"mu", "a"}
        The law they were encoded with.

    Returns
    -------
    (n_samples,) int16 array
    """
    one_of("law", law, LAWS)
    byte = np.asarray(code, dtype=np.uint8).astype(np.int32)
    if law == "mu":
        inverted = ~byte
        exponent, mantissa = (inverted >> 4) & 7, inverted & 0xF
        magnitude = (0x80 << exponent) + (mantissa << (exponent + 3)) + (4 << exponent) - 4 * 33
    else:
        toggled = (byte ^ 0x55) & 0x7F
        exponent, mantissa = toggled >> 4, toggled & 0xF
        step = ((mantissa + np.where(exponent > 0, 16, 0)) << 4) + 8
        magnitude = step << np.maximum(exponent - 1, 0)
    pcm: Int16Array = np.where(byte >= 0x80, magnitude, -magnitude).astype(np.int16)
    return pcm


def g711(samples: Float32Array, law: Law = "mu") -> Float32Array:
    """Send samples through a G.711 line and back; what is beyond full scale is clipped, as there.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1; the sample rate of a line is 8 kHz, but the law does not mind.
    law : {"mu", "a"}
        Which.

    Returns
    -------
    (n_samples,) float32 array
    """
    pcm = np.clip(np.rint(np.asarray(samples) * 32768.0), -32768, 32767).astype(np.int16)
    return (g711_decode(g711_encode(pcm, law), law) / 32768.0).astype(np.float32)
