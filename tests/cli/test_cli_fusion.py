"""voicegmm fuse as it is typed."""

import json

import numpy as np
import pytest

from voicegmm.cli import main
from voicegmm.corpus import Trials
from voicegmm.scoring import ScoreTable, read_scores, write_scores


@pytest.fixture
def typed(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run


def written(folder, names, seed, labels=True, n_speakers=12):
    """Score tables of two systems; the folder as others have it."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"m{m}", f"s{s}-{take}", int(m == s) if labels else -1)
        for m in range(n_speakers)
        for s in range(n_speakers)
        for take in range(3)
    ]
    same = np.array([model[1:] == test[1:].split("-")[0] for model, test, _ in rows])
    paths = []
    for name in names:
        scores = 0.1 * (np.where(same, 1.0, -1.0) + rng.normal(0, 0.7, len(rows)))
        ok = ("ok",) * len(rows)
        write_scores(folder / name, ScoreTable(Trials.of(rows), scores, ok, ("",) * len(rows)))
        paths.append(folder / name)
    return paths


def test_fuse(typed, tmp_path):
    tried = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    learned = written(tmp_path, ["dev_a.tsv", "dev_b.tsv"], 2)
    out, saved = tmp_path / "fused.tsv", tmp_path / "fusion.h5"
    code, text, err = typed("fuse", *tried, "--learn", *learned, "-o", out, "--save", saved)
    assert (code, err) == (0, "")
    assert text.startswith(f"{out}: 432 of 432 trials scored, calibrated\nratio = ")
    assert "Cllr" in text
    fused = read_scores(out)
    assert fused.llrs is not None
    code, text, _ = typed("fuse", *tried, "--fusion", saved, "-o", tmp_path / "again.tsv", "--json")
    assert code == 0
    assert (tmp_path / "again.tsv").read_bytes() == out.read_bytes()
    told = json.loads(text)
    figures = told["metrics"]
    fused_figures = figures[str(tmp_path / "again.tsv")]
    assert fused_figures["min_cllr"] < figures[str(tried[0])]["min_cllr"]
    assert fused_figures["cllr"] < fused_figures["min_cllr"] + 0.1
    assert list(told["weights"]) == [str(path) for path in learned]
    code, text, _ = typed("info", saved)
    assert "format: voicegmm/fusion" in text
    # --learn as often as there are tables, and before them, does as well.
    code, _, err = typed(
        "fuse", "--learn", learned[0], "--learn", learned[1], "-o", tmp_path / "c.tsv", *tried
    )
    assert (code, err) == (0, "")
    assert (tmp_path / "c.tsv").read_bytes() == out.read_bytes()


def test_fuse_by_other_speakers(typed, tmp_path):
    tried = written(tmp_path, ["a.tsv", "b.tsv"], 1, labels=False)
    code, _, err = typed("fuse", *tried, "-o", tmp_path / "x.tsv")
    assert code == 1
    assert "got 0 and 0" in err or "have no label" in err
    assert not (tmp_path / "x.tsv").exists()
    key = tmp_path / "key.txt"
    lines = []
    for model, test in _names(tried[0]):
        label = int(model[1:] == test[1:].split("-")[0])
        lines.append(f"{label} {model} {test}")
    key.write_text("\n".join(lines))
    code, text, _ = typed("fuse", *tried, "-o", tmp_path / "x.tsv", "--key", key)
    assert code == 0
    assert "36 target and 396 non-target trials" in text


def _names(path):
    return [line.split("\t")[:2] for line in path.read_text().splitlines()[1:]]


def test_wrong_uses_of_fuse(typed, tmp_path):
    tried = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    out = tmp_path / "x.tsv"
    code, _, err = typed("fuse", *tried, "--learn", tried[0], "-o", out)
    assert code == 2
    assert "--learn needs a table for each of the 2 SCORES, got 1" in err
    code, _, err = typed("fuse", *tried, "-o", out, "--learn")
    assert code == 2
    assert "'--learn' requires an argument" in err
    code, _, err = typed("fuse", *tried, "-o", out, "--fusion", "f.h5", "--p-target", 0.1)
    assert code == 2
    assert "--fusion goes without" in err
    code, _, err = typed("fuse", *tried, "-o", tried[1])
    assert code == 1
    assert "is read by this command" in err
    code, _, err = typed("fuse", *tried, "-o", out, "--p-target", 2)
    assert code == 1
    assert "p_target must be between" in err
    (less,) = written(tmp_path, ["less.tsv"], 1, n_speakers=11)
    code, _, err = typed("fuse", tried[0], less, "-o", out)
    assert code == 1
    assert "less.tsv lacks 69 of 432 trials (m0 with s11-0" in err
    assert not out.exists()
