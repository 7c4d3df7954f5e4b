"""Players for the worst errors: the voice of the model beside the voice of the test."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicegmm._base.errors import AudioError
from voicegmm.audio import WHOLE, Excerpt, flac_clip
from voicegmm.corpus import Enrollment, Protocol

BIOMETRIC = (
    "This page holds recordings of voices: it is biometric data. Keep it as carefully as the "
    "recordings themselves, and pass it on to nobody who may not have them"
)


@dataclass(frozen=True)
class Clip:
    """What can be heard of a model or of a test.

    Parameters
    ----------
    name : str
        Of the recording.
    source : str
        A data address that holds the sound itself; empty where there is none.
    trouble : str
        Why there is none.
    """

    name: str
    source: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Listening:
    """Where the voices of models and tests can be heard.

    Parameters
    ----------
    of_model, of_test : callable
        From a name to a recording of it, and which part of it is meant; or None.
    """

    of_model: Callable[[str], tuple[Path, Excerpt] | None]
    of_test: Callable[[str], tuple[Path, Excerpt] | None]

    @staticmethod
    def to_protocol(protocol: Protocol) -> "Listening":
        """Hear the first recording that enrolled a model, and the first of a test."""
        first = {enrollment.model: enrollment.files[0] for enrollment in protocol.enrollments}

        def place(file: str) -> tuple[Path, Excerpt] | None:
            path = protocol.paths.get(file)
            return (path, protocol.excerpts.get(file, WHOLE)) if path else None

        return Listening(
            lambda model: place(first.get(model, "")),
            lambda test: place(protocol.test_files(test)[0]),
        )

    @staticmethod
    def to_folder(
        folder: Path,
        enrollments: Sequence[Enrollment] = (),
        segments: Mapping[str, Sequence[str]] | None = None,
    ) -> "Listening":
        """Hear recordings below a folder; a model without enrollments goes by its own name."""
        first = {enrollment.model: enrollment.files[0] for enrollment in enrollments}
        parts = segments or {}
        return Listening(
            lambda model: (folder / first.get(model, model), WHOLE),
            lambda test: (folder / parts.get(test, [test])[0], WHOLE),
        )

    def clips(self, model: str, test: str) -> tuple[Clip, Clip]:
        """Give what can be heard of a trial: the model's voice and the test's."""
        return _clip(model, self.of_model(model)), _clip(test, self.of_test(test))


def _clip(name: str, place: tuple[Path, Excerpt] | None) -> Clip:
    if place is None or not place[0].is_file():
        return Clip(name, trouble="no recording")
    path, excerpt = place
    try:
        sound = flac_clip(path, excerpt=excerpt)
    except AudioError as error:
        return Clip(path.name, trouble=f"cannot be played: {error.status}")
    return Clip(path.name, f"data:audio/flac;base64,{base64.b64encode(sound).decode()}")
