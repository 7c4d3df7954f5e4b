"""Many processes and many steps on one bank: nothing is lost, nothing is left, memory stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voicegmm import VoiceBank

ROOT = Path(__file__).parents[2]
SECONDS = os.environ.get("VOICEGMM_SOAK_SECONDS", "55")


def start(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    )


@pytest.mark.slow
def test_a_long_run_ends_with_what_its_log_says(voices, tmp_path):
    """VOICEGMM_SOAK_SECONDS=300 for five minutes."""
    arguments = ["--wavs", voices / "wavs", "--seconds", SECONDS, "--seed", 1]
    process = start(ROOT / "tests/bank/soak.py", tmp_path / "soak", *arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    told = json.loads(out)
    print(told)
    counts = told["counts"]
    assert counts["steps"] > 100
    assert sum(number for what, number in counts.items() if "killed" in what) >= 5
    assert counts["read while another wrote"] >= 5
    # What is freed is not always given back, but what is kept does not grow.
    grown = told["megabytes_in_the_last_quarter"] - told["megabytes_in_the_second_quarter"]
    assert grown < 15, told


WRITER = """
import sys
from voicegmm.cli import main

bank, prefix, *files = sys.argv[1:]
print("ready", flush=True)
input()
for number, file in enumerate(files):
    try:
        main(["enroll", bank, f"{prefix}{number}", file, "--force"])
    except SystemExit as stopped:
        assert not stopped.code
"""


@pytest.mark.slow
def test_four_processes_enroll_into_one_bank_and_lose_nobody(voices, tmp_path):
    (tmp_path / "few").mkdir()
    for name in ("v001", "v002"):
        (tmp_path / "few" / name).symlink_to(voices / "wavs" / name)
    path = tmp_path / "voices.h5"
    first = VoiceBank.train(tmp_path / "few")
    first.save(path)
    others = ("b001", "b002", "b003", "b004")
    groups = {name: sorted((voices / "wavs" / name).glob("*.wav")) for name in others}
    command = ["-c", WRITER, path]
    writers = [start(*command, f"{name}-", *files) for name, files in groups.items()]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen = [first.names]
    while any(writer.poll() is None for writer in writers):
        names = VoiceBank.open(path).names
        assert names[: len(seen[-1])] == seen[-1]  # nobody who was there is missing
        seen.append(names)
    for writer in writers:
        _, err = writer.communicate()
        assert writer.returncode == 0, err
    expected = {f"{name}-{number}" for name, files in groups.items() for number in range(4)}
    bank = VoiceBank.open(path)
    assert set(bank.names) == expected | set(first.names)
    assert len(bank.names) == 18
    assert len(set(seen)) > 2
    for name, files in groups.items():
        for number, file in enumerate(files):
            (record,) = bank.voices.speakers.records[f"{name}-{number}"]
            assert record.file == str(file)
    left = sorted(found.name for found in tmp_path.iterdir())
    assert left == [".voices.h5.lock", "few", "voices.h5"]
