"""What is done with score tables, as it is typed: fuse, evaluate."""

import hashlib
import json

import numpy as np
import pytest

from voicegmm.cli import convert
from voicegmm.cli.console import warn_of_unscored
from voicegmm.corpus import Trials
from voicegmm.metrics import eer
from voicegmm.scoring import FusionOptions, ScoreTable, align_tables, read_scores, write_scores
from voicegmm.scoring.evaluation import EvaluationOptions, compare_tables
from voicegmm.store import SCORE_FILES, load


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


def test_the_costliest_reasons_are_told_and_the_others_counted(capsys):
    rows = [("m", f"t{number}", 1) for number in range(15)]
    reasons = [f"t{min(number, 12)}.wav: is empty" for number in range(15)]
    nothing = np.full(15, np.nan)
    warn_of_unscored(ScoreTable(Trials.of(rows), nothing, ("unreadable",) * 15, tuple(reasons)))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "warning: 3 trials not scored (unreadable): t12.wav: is empty"
    assert len(lines) == 11
    assert lines[-1] == "warning: 3 more trials not scored, for 3 other reasons: see the scores"


def test_fuse(typed, tmp_path):
    tried = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    learned = written(tmp_path, ["dev_a.tsv", "dev_b.tsv"], 2)
    out, saved = tmp_path / "fused.tsv", tmp_path / "fusion.h5"
    code, text, err = typed(
        "fuse", *tried, "--learn", *learned, "-o", out, "--save", saved, "--replicates", 0
    )
    assert code == 0
    assert all(line.startswith(f"warning: {out}: fewer than 30") for line in err.splitlines())
    assert text.startswith(f"{out}: 432 of 432 trials scored, calibrated\nratio = ")
    assert "Cllr" in text
    fused = read_scores(out)
    assert fused.llrs is not None
    code, text, _ = typed(
        "fuse",
        *tried,
        "--fusion",
        saved,
        "-o",
        tmp_path / "again.tsv",
        "--json",
        "--replicates",
        40,
    )
    assert code == 0
    assert (tmp_path / "again.tsv").read_bytes() == out.read_bytes()
    told = json.loads(text)
    figures = told["metrics"]
    fused_figures = figures[str(tmp_path / "again.tsv")]
    least = fused_figures["min_cllr"]["value"]
    assert least < figures[str(tried[0])]["min_cllr"]["value"]
    assert fused_figures["cllr"]["value"] < least + 0.1
    for figure in (each for found in figures.values() for each in found.values()):
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert list(told["weights"]) == [str(path) for path in learned]
    code, text, _ = typed("info", saved)
    assert "format: voicegmm/fusion" in text
    # --learn as often as there are tables, and before them, does as well.
    every = ("--learn", learned[0], "--learn", learned[1], "-o", tmp_path / "c.tsv", *tried)
    assert typed("fuse", "--replicates", 0, *every)[0] == 0
    assert (tmp_path / "c.tsv").read_bytes() == out.read_bytes()
    pull = ("--ridge", 0.1, "--toward", "equal", "--save", tmp_path / "pulled.h5")
    assert typed("fuse", "--replicates", 0, *every, *pull)[0] == 0
    assert load(tmp_path / "pulled.h5").options == FusionOptions(ridge=0.1, toward="equal")
    code, _, err = typed("fuse", *every, "--toward", "equals")
    assert code == 1
    assert "toward must be one of zero, equal; got 'equals' (did you mean 'equal'?)" in err


def test_fuse_takes_quality_measures_as_side_information(typed, tmp_path):
    tried = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    learned = written(tmp_path, ["dev_a.tsv", "dev_b.tsv"], 2)
    quality, saved, out = (tmp_path / name for name in ("q.tsv", "f.h5", "x.tsv"))
    tests = sorted({test for _, test in _names(tried[0])})
    rows = [f"{test}\t{1 + i % 9}\t{i * i % 7}" for i, test in enumerate(tests)]
    quality.write_text("\n".join(["test\tseconds\tlevel", *rows]))
    learn = ("fuse", *tried, "--learn", *learned, "-o", out, "--replicates", 0)
    code, text, err = typed(*learn, "--quality", quality, "--save", saved)
    assert code == 0
    assert f"warning: {out}: fewer than 30 errors of a kind behind eer (" in err
    assert "[log seconds]" in text
    assert "[level]" in text
    first = out.read_bytes()
    assert typed(*learn)[0] == 0
    assert out.read_bytes() != first
    again = ("fuse", *tried, "--fusion", saved, "-o", out)
    code, text, _ = typed(*again, "--quality", quality, "--json", "--replicates", 0)
    assert code == 0
    assert out.read_bytes() == first
    assert list(json.loads(text)["quality"]) == ["seconds", "level"]
    assert "of_quality" in typed("info", saved)[1]
    code, _, err = typed(*again)
    assert code == 1
    assert "f.h5 takes seconds, level of each trial; give them with --quality" in err
    assert typed(*learn, "--save", tmp_path / "plain.h5")[0] == 0
    plain = ("fuse", *tried, "--fusion", tmp_path / "plain.h5", "-o", out)
    code, _, err = typed(*plain, "--quality", quality)
    assert code == 1
    assert "plain.h5 was learned without quality measures; leave --quality out" in err
    quality.write_text("\n".join(["test\tseconds\tlevel", *rows[1:]]))
    code, _, err = typed(*again, "--quality", quality)
    assert code == 1
    assert "does not know seconds and level of 12 of the 432 trials that have a score" in err
    code, _, err = typed(*learn, "--quality", tried[0])
    assert code == 1
    assert "a.tsv: line 2: expected 7 fields with the numbers" in err


def test_durations_are_drawn_against_the_scores(typed, tmp_path):
    (scores,) = written(tmp_path, ["a.tsv"], 1)
    report, durations = tmp_path / "r.html", tmp_path / "d.tsv"
    tests = sorted({test for _, test in _names(scores)})
    lines = [f"{test}\t{1 + i % 9}" for i, test in enumerate(tests)]
    durations.write_text("\n".join(["test\tseconds", *lines]))
    asked = ("evaluate", scores, "--replicates", 0, "--durations", durations)
    code, _, err = typed(*asked)
    assert code == 2
    assert "--durations needs --report" in err
    assert typed(*asked, "--report", report)[0] == 0
    assert 'id="plot-duration"' in report.read_text()
    durations.write_text("\n".join(["test\tsnr", *lines]))
    code, _, err = typed(*asked, "--report", report)
    assert code == 1
    assert "d.tsv holds no seconds by test" in err
    code, _, err = typed("evaluate", scores, "--against", scores, "--replicates", 0)
    assert code == 2
    assert "--against needs --replicates" in err


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
    code, text, _ = typed("fuse", *tried, "-o", tmp_path / "x.tsv", "--key", key, "--replicates", 0)
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


def test_evaluate_against_another_system(typed, tmp_path):
    first, second = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    code, text, err = typed(
        "evaluate", first, "--against", second, "--points", "sre16", "--replicates", 40
    )
    assert code == 0
    assert "min C_primary" in text
    assert f"{second} differs by\nEER " in text
    assert text.count(" p = ") == len([line for line in text.splitlines() if " p = " in line]) == 6
    assert "only 12 speakers: intervals and p-values" in err
    code, text, _ = typed(
        "evaluate", first, "--against", second, "--points", "0.1,5,1", "--json", "--replicates", 40
    )
    found = json.loads(text)
    assert list(found["metrics"]) == ["eer", "min_dcf_0.1_5_1", "min_cllr", "auc"]
    difference = found["comparison"]["metrics"]["min_dcf_0.1_5_1"]
    assert difference["first"] == found["metrics"]["min_dcf_0.1_5_1"]["value"]
    (less,) = written(tmp_path, ["less.tsv"], 1, n_speakers=11)
    code, _, err = typed("evaluate", first, "--against", less)
    assert code == 1
    assert "less.tsv lacks 69 of 432 trials" in err
    code, _, err = typed("evaluate", first, "--points", "sre18")
    assert code == 1
    assert "points must be one of" in err
    code, _, err = typed("evaluate", first, "--against", first)
    assert code == 2
    assert "--against is another file of scores" in err


def test_compared_systems_need_the_labels_once(typed, tmp_path):
    first, second = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    bare = tmp_path / "bare.tsv"
    lines = [line.split("\t") for line in second.read_text().splitlines()]
    for fields in lines[1:]:
        fields[2] = ""
    bare.write_text("".join("\t".join(fields) + "\n" for fields in (lines[0], *lines[:0:-1])))
    found = [
        json.loads(typed("compare", first, other, "--json", "--replicates", 5)[1])
        for other in (second, bare)
    ]
    assert found[1]["systems"][str(bare)] == found[0]["systems"][str(second)]
    assert (
        found[1]["differences"][str(bare)]["metrics"]
        == (found[0]["differences"][str(second)]["metrics"])
    )
    code, _, err = typed("evaluate", bare)
    assert code == 1
    assert "bare.tsv: 432 of 432 trials have no label; give them with a key" in err


def test_compared_trials_are_those_that_both_scored():
    rows = [(f"m{m}", f"s{s}", int(m == s)) for m in range(8) for s in range(8)]
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2, 64))
    scores[1, 5] = np.nan
    tables = [
        ScoreTable(
            Trials.of(rows), column, tuple(np.where(np.isnan(column), "bad", "ok")), ("",) * 64
        )
        for column in scores
    ]
    found = compare_tables(align_tables(tables, ["a", "b"]), EvaluationOptions(n_bootstrap=20))
    kept = np.isfinite(scores[1])
    target = np.array([label for *_, label in rows]) == 1
    expected = eer(scores[0, kept & target], scores[0, kept & ~target])
    assert found.metrics["eer"].first == pytest.approx(expected)
    assert "1 trials that not both systems could score are left out" in found.warnings
    assert "cllr" not in found.metrics


def test_compare_and_its_report(typed, tmp_path):
    first, second = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    report = tmp_path / "r.html"
    code, text, err = typed("compare", first, second, "--report", report, "--replicates", 40)
    assert code == 0
    lines = text.splitlines()
    assert lines[0].split()[0] == "EER"
    assert [line.split()[0] for line in lines[1:3]] == [str(first), str(second)]
    assert f"{second} differs by" in text
    assert text.endswith(f"report: {report}\n")
    assert "only 12 speakers: intervals and p-values" in err
    for path in (first, second):
        assert f"warning: {path}: fewer than 30 errors of a kind behind eer (" in err
    page = report.read_text()
    assert 'id="system-table"' in page
    assert 'id="difference-1"' in page
    sums = hashlib.sha256(second.read_bytes()).hexdigest()
    assert f"<code>{sums}</code>" in page
    code, _, err = typed("compare", first)
    assert code == 2
    assert "two systems at least" in err
    code, _, err = typed("compare", first, first)
    assert code == 2
    assert "stands once" in err


@pytest.mark.slow
def test_compare_in_json(typed, tmp_path):
    first, second = written(tmp_path, ["a.tsv", "b.tsv"], 1)
    _, text, _ = typed("compare", first, second, "--json")
    told = json.loads(text)
    assert list(told["systems"]) == [str(first), str(second)]
    found = told["differences"][str(second)]["metrics"]["eer"]
    values = [told["systems"][str(path)]["metrics"]["eer"]["value"] for path in (first, second)]
    assert [found["first"], found["second"]] == values


@pytest.mark.slow
def test_convert_and_evaluate_give_the_same_figures_in_every_kind(typed, tmp_path):
    (scores,) = written(tmp_path, ["a.tsv"], 1)
    few = ("--replicates", 0, "--json")
    _, text, _ = typed("evaluate", scores, *few)
    known = json.loads(text)["metrics"]
    for kind in ("voicegmm", "voxceleb", "kaldi", "nist", "bosaris"):
        out, key = tmp_path / kind, tmp_path / ("key.h5" if kind == "bosaris" else "key.tsv")
        asked = ("convert", scores, "-o", out, "--to", kind, "--key-out", key)
        code, text, err = typed(*asked)
        assert (code, text, err) == (0, f"{out}: 432 trials\n{key}: 432 trials\n", "")
        code, text, _ = typed("evaluate", out, "--key", key, *few)
        found = json.loads(text)["metrics"]
        assert {name: found[name]["value"] for name in known} == pytest.approx(
            {name: estimate["value"] for name, estimate in known.items()}
        )
        assert ("cllr" in found) == (kind == "nist")
    code, text, _ = typed("evaluate", tmp_path / "bosaris", "--key", key, "--llr", "--json")
    assert "cllr" in json.loads(text)["metrics"]
    code, _, err = typed("convert", scores, "-o", scores)
    assert code == 1
    assert "is read by this command" in err
    code, _, err = typed("evaluate", tmp_path / "bosaris")
    assert code == 1
    assert "432 of 432 trials have no label; give them with a key" in err


def test_kinds_offered_are_those_of_the_library():
    assert convert._WRITTEN["scores"] == SCORE_FILES


def test_one_model_alone_gives_no_intervals(typed, tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        f"u{i} - {'bonafide' if i % 3 else 'spoof'} {i % 3 + rng.normal():g}" for i in range(90)
    ]
    path = tmp_path / "cm.txt"
    path.write_text("\n".join(lines))
    code, text, err = typed("evaluate", path)
    assert code == 0
    assert "60 target and 30 non-target trials\n" in text
    assert "[" not in text
    assert "one model alone" in err
    # The same scores as ASVspoof 2021 has them, with the protocol of 2019 for a key.
    rows = [line.split() for line in lines]
    path.write_text("\n".join(f"{row[0]} {row[3]}" for row in rows))
    key = tmp_path / "protocol.txt"
    key.write_text("\n".join(f"s1 {row[0]} - {row[1]} {row[2]}" for row in rows))
    assert typed("evaluate", path, "--key", key)[1] == text


@pytest.mark.slow
def test_players_are_put_in_when_asked_for(typed, tmp_path):
    (scores,) = written(tmp_path, ["a.tsv"], 1, n_speakers=3)
    code, _, err = typed("evaluate", scores, "--include-audio", tmp_path)
    assert code == 2
    assert "--include-audio needs --report" in err
    report = tmp_path / "r.html"
    code, _, err = typed("evaluate", scores, "--report", report, "--include-audio", "nowhere")
    assert code == 1
    assert "--include-audio nowhere: no such folder" in err
    code, _, err = typed("evaluate", scores, "--report", report, "--enroll", scores)
    assert code == 2
    assert "--enroll needs --include-audio" in err
    code, _, _ = typed(
        "evaluate", scores, "--report", report, "--include-audio", tmp_path, "--replicates", 0
    )
    assert code == 0
    assert "biometric data" in report.read_text()
    assert "no recording" in report.read_text()
