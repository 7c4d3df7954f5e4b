"""What every test can ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("voicegmm", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("voicegmm")

SHARED = Path(os.environ.get("VOICEGMM_SHARED") or Path(__file__).parents[1] / ".." / "shared")


_WANTED = "shared data missing"


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the shared corpora and oracles."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(_WANTED in str(report.longrepr) for report in skipped)
    terminalreporter.write_line(f"{count} tests skipped for want of shared data")


@pytest.fixture(scope="session")
def shared():
    """Give shared("oracles/kaldi/plda.npz") -> Path; the test is skipped where it is missing."""

    def find(relative: str) -> Path:
        path = (SHARED / relative).resolve()
        if not path.exists():
            pytest.skip(f"{_WANTED}: {relative} (set VOICEGMM_SHARED)")
        return path

    return find


@pytest.fixture(scope="session")
def voices(tmp_path_factory):
    """A small corpus of artificial voices: wavs/<voice>/*.wav and lists/."""
    from voicegmm.synthesis import CorpusOptions, write_corpus

    folder = tmp_path_factory.mktemp("voices")
    options = CorpusOptions(
        n_speakers=12, n_background=12, n_utterances=4, n_enrollment=2,
        shortest_seconds=1.5, longest_seconds=2.0, within_voice=0.6,
    )  # fmt: skip
    write_corpus(folder, options)
    return folder


@pytest.fixture(scope="session")
def speaker_folders(voices, tmp_path_factory):
    """The enrolled voices as a folder of speakers, and the background voices as another."""
    root = tmp_path_factory.mktemp("folders")
    for name, letter in (("known", "v"), ("background", "b")):
        (root / name).mkdir()
        for speaker in sorted((voices / "wavs").glob(f"{letter}*")):
            (root / name / speaker.name).symlink_to(speaker)
    return root
