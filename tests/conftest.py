"""What every test can ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("voicegmm", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("voicegmm")

SHARED = Path(os.environ.get("VOICEGMM_SHARED") or Path(__file__).parents[1] / ".." / "shared")


@pytest.fixture(scope="session")
def shared():
    """Give shared("oracles/kaldi/plda.npz") -> Path; the test is skipped where it is missing."""

    def find(relative: str) -> Path:
        path = (SHARED / relative).resolve()
        if not path.exists():
            pytest.skip(f"shared data missing: {relative} (set VOICEGMM_SHARED)")
        return path

    return find
