"""`voicegmm info`, and who reads the files of strangers."""

import json

import numpy as np
import pytest

from voicegmm.cli.commands import voicegmm
from voicegmm.mixture import Statistics
from voicegmm.store import save

READERS = (
    *("identify", "verify", "list", "score", "adapt", "fuse", "info"),
    *("ubm train", "features compare", "classify evaluate", "classify files"),
)


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "s.h5", Statistics(np.ones(2), np.ones((2, 3)), np.ones((2, 3)), -1.0, 2.0))
    return tmp_path / "s.h5"


def test_a_file_is_described_and_verified(typed, path):
    code, out, err = typed("info", path)
    assert (code, err) == (0, "")
    assert "format: voicegmm/statistics\nformat_version: 2\n" in out
    assert "verified" not in out
    code, out, _ = typed("info", "--verify", path)
    assert out.count("\nverified: ") == 2
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    code, out, err = typed("info", path)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {path}: damaged: the content does not fit the digest")


def test_a_strangers_file_is_described_by_another_process(typed, path):
    code, out, _ = typed("info", "--untrusted", "--verify", "--json", path)
    assert code == 0
    told = json.loads(out)
    assert told["n_components"] == 2
    assert len(told["verified"]) == 2


@pytest.mark.parametrize("command", READERS)
def test_whoever_reads_a_model_can_distrust_it(command):
    found = voicegmm
    for name in command.split():
        found = found.commands[name]
    assert "untrusted" in {parameter.name for parameter in found.params}
