"""The report: what stands in it, what can never run in it, and that it comes out the same."""

import base64
import hashlib
import html
import io
import json
import re
import stat
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from report_pages import (
    BAD,
    EVIL,
    LOADING,
    Page,
    figures_of,
    listened,
    make_run,
    make_table,
    read_page,
    write_json,
)

from voicegmm._base.errors import AudioError, FormatError
from voicegmm._base.version import __version__
from voicegmm.audio import flac_clip
from voicegmm.corpus import Trials
from voicegmm.experiment import FILES
from voicegmm.experiment.report import MOST_MODELS, write_report, write_score_report
from voicegmm.experiment.report_figures import with_own_ids
from voicegmm.experiment.report_run import inputs_of
from voicegmm.scoring import (
    ScoreTable,
    align_tables,
    read_scores,
)
from voicegmm.scoring.evaluation import (
    EvaluationOptions,
    compare_tables,
)
from voicegmm.store.hdf5 import open_file


@pytest.fixture
def no_plots(monkeypatch):
    """Leave the plots out, for tests that do not look at them: they take most of the time."""
    monkeypatch.setattr("voicegmm.experiment.report.draw_scores", lambda *_: ([], []))


def test_figures_stand_in_the_page_as_in_the_results(run):
    page = read_page(run / "report.html")
    results = json.loads((run / "results.json").read_text("utf-8"))
    eer, cllr = results["metrics"]["eer"], results["metrics"]["cllr"]
    assert f"{100 * eer['value']:.2f} % {100 * eer['low']:.2f} to {100 * eer['high']:.2f} %" in (
        page.text
    )
    assert f"Cllr, in bits {cllr['value']:.4f} {cllr['low']:.4f} {cllr['high']:.4f}" in page.text
    assert "minDCF at P(target) = 0.01" in page.text
    assert "22 target and 110 non-target trials with a score, 12 trials without" in page.text
    assert "4 Gaussians in 3 dimensions, trained on 12,345 frames in 5 iterations" in page.text
    assert "95 % interval from 100 resamplings of the speakers" in page.text
    assert page.text.index("EER") < page.text.index("minDCF") < page.text.index("Cllr")
    for warning in results["warnings"]:
        assert warning[1:] in page.text


def test_everything_else_of_a_run_stands_in_the_page(run):
    page = read_page(run / "report.html")
    plots = [value for value in page.values("id") if value.startswith("plot-")]
    kinds = ("det", "histogram", "tippett", "ece", "bayes", "speakers", "training")
    assert plots == [f"plot-{kind}" for kind in kinds]
    assert page.count("figcaption") == page.count("svg") == page.count("desc") == 7
    assert "stay within it at each point" in page.text
    assert "There is no plot of durations: it is not known how long the tests are." in page.text
    assert all(a.get("role") == "img" for tag, a in page.tags if tag == "svg")
    assert "no speech test 0.wav: too quiet <b>& 6" in page.text
    assert "scores 12.3 100 in this run features 12.3 100 from an earlier run" in page.text
    assert "relevance 10.0" in page.text
    assert "p_targets 0.01, 0.05" in page.text
    assert "voicegmm 9.8.7" in page.text
    assert "version 0.3 version 0.4" in page.text
    for heading in ("Equal error rate (EER)", "Detection cost", "Cllr", "Log-likelihood ratio"):
        assert heading in page.text
    listed = [value for value in page.values("href") if "." in value]
    exist = {path.name for path in run.iterdir()}
    assert listed == [name for name in FILES if name in exist]
    assert "report.html" in listed
    assert "run.log" not in listed


def test_worst_errors_are_the_worst(run):
    page = read_page(run / "report.html")
    table = make_table(n_failed=2)
    of = table.trials.labels
    worst = np.nanmax(np.where(of == 0, table.best, np.nan))
    lowest = np.nanmin(np.where(of == 1, table.best, np.nan))
    after = page.text.split("The worst errors")[1]
    strangers, speakers = after.split("Speakers least like themselves")
    assert float(re.search(r"In words v\d+ test \d+\.wav (-?[\d.]+)", strangers)[1]) == (
        pytest.approx(worst, abs=5e-4)
    )
    assert float(re.search(r"In words v\d+ test \d+\.wav (-?[\d.]+)", speakers)[1]) == (
        pytest.approx(lowest, abs=5e-4)
    )
    assert "support for" in strangers


@pytest.mark.parametrize("which", ["run", "hostile"])
def test_page_is_whole_and_loads_nothing(which, request):
    text = (request.getfixturevalue(which) / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = [value for name in ("href", "xlink:href") for value in page.values(name)]
    targets += [f"#{value}" for value in page.values("aria-labelledby")]
    targets += re.findall(r"url\(([^)]*)\)", text)
    inside = [value[1:] for value in targets if value.startswith("#")]
    assert inside
    assert set(inside) <= set(ids)
    assert {value for value in targets if not value.startswith("#")} <= set(FILES)
    assert not {tag for tag, _ in page.tags} & LOADING
    assert not page.values("src") + page.values("srcset")
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "@import" not in text
    # What is left are names of XML, which nothing fetches.
    assert set(re.findall(r'\S*="https?://[^"]*"', text)) <= {
        'xmlns="http://www.w3.org/2000/svg"',
        'xmlns:xlink="http://www.w3.org/1999/xlink"',
    }
    assert len(re.findall("https?:", text)) == len(re.findall(r'xmlns(?::xlink)?="http:', text))


@pytest.mark.parametrize("which", ["run", "hostile"])
def test_page_can_be_read_aloud_and_by_keyboard(which, request):
    page = read_page(request.getfixturevalue(which) / "report.html")
    assert page.count("h1") == page.count("main") == page.count("title") - page.count("svg") == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.count("table") == page.count("caption")
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in page.tags if tag == "th")
    regions = [attrs for _, attrs in page.tags if attrs.get("class") == "scroll"]
    assert len(regions) == page.count("table")
    assert all(attrs["tabindex"] == "0" and attrs["role"] == "region" for attrs in regions)


def test_names_never_become_markup(hostile):
    text = (hostile / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text
    assert f"{EVIL}0{BAD}" in page.text
    assert f"{EVIL} – voicegmm report" in html.unescape(re.search("<title>(.*)</title>", text)[1])
    assert f"{EVIL} of {BAD}" in page.text
    assert f"text {EVIL}" in page.text
    assert f"not calibrated: only {EVIL}" in page.text


def test_uncalibrated_scores_are_called_so(hostile):
    page = read_page(hostile / "report.html")
    assert "no plots of Tippett, cross-entropy and Bayes error: the scores are not" in page.text
    assert "plot-tippett" not in page.values("id")
    assert "Cllr, in bits" not in page.text.replace("minCllr, in bits", "")
    assert "actDCF at" not in page.text
    assert "In words" not in page.text
    assert "Bayes threshold" not in page.text


@pytest.mark.slow
def test_same_inputs_give_the_same_bytes(run):
    first = (run / "report.html").read_bytes()
    stages = json.loads((run / "stages.json").read_text("utf-8"))
    own = {"report": {"seconds": 1.5, "peak_memory_mb": 77.0, "skipped": False}}
    write_json(run / "stages.json", stages | own)
    write_report(run, FILES)
    assert (run / "report.html").read_bytes() == first


@pytest.mark.slow
def test_score_table_alone_gives_the_same_page_without_the_run(tmp_path):
    table = make_table()
    write_score_report(tmp_path / "r.html", table, figures_of(table, 0), "scores.tsv")
    page = read_page(tmp_path / "r.html")
    assert page.count("svg") == 6
    assert "stay within it at each point" not in page.text  # no intervals, no band
    assert "Nothing: every trial has a score." in page.text
    assert "All figures, without intervals" in page.text
    assert f"How it was made Versions and machine voicegmm {__version__} python 3." in page.text
    for absent in ("input-table", "stage-table", "file-table"):
        assert absent not in page.values("id")


@pytest.mark.parametrize("n_strangers", [0, 8])
def test_rates_of_identification_stand_in_the_page(tmp_path, n_strangers, no_plots):
    table = make_table()
    labels = np.where(table.trials.test_index < n_strangers, 0, table.trials.labels)
    table = replace(table, trials=replace(table.trials, labels=labels.astype(np.int8)))
    results = figures_of(table)
    write_score_report(tmp_path / "r.html", table, results, "identified")
    text = read_page(tmp_path / "r.html").text
    if n_strangers:
        rates = results["open_set"]["detection_identification"]
        assert "an open set of 16 tests of known speakers and 8 of strangers" in text
        rows = {f"with false alarms on {100 * float(a):g} %": rates[a] for a in rates}
        assert "Open-set identification Each test is compared with all models" in text
        assert "Closed-set" not in text
    else:
        told = results["closed_set"]
        assert "a closed set of 24 tests, each of one of the models" in text
        rows = {
            "Closed-set identification rate": told["identification_rate"],
            "Own model among the best five": told["rank_5_rate"],
        }
        assert "Closed-set identification Each test is compared with several models" in text
    for name, rate in rows.items():
        value, low, high = (f"{100 * rate[key]:.2f} %" for key in ("value", "low", "high"))
        assert f"{name} {value} {low} {high}" in text


def test_recordings_that_failed_without_costing_a_trial_are_told(tmp_path, no_plots):
    table = make_table(n_failed=1)
    (status, reason, count) = next(iter(table.failures().values()))
    failures = [
        {"status": status, "reason": reason, "n_trials": count},
        {"status": "unreadable", "reason": f"{EVIL}: is empty", "n_trials": 0},
    ]
    write_score_report(tmp_path / "r.html", table, figures_of(table) | {"failures": failures}, "r")
    text = read_page(tmp_path / "r.html").text
    assert f"{status} {reason} 6 unreadable {EVIL}: is empty 0" in text
    assert "recordings that cost no trial are of the background or of enrollments" in text
    assert "trials without a score (4.17 % of all) count as rejected" in text


@pytest.mark.parametrize(("label", "absent"), [(1, "non-target"), (0, "target")])
def test_class_without_scores_leaves_the_plots_out_and_says_so(tmp_path, label, absent):
    trials = Trials.of([("m", f"{i}.wav", label) for i in range(3)])
    table = ScoreTable(trials, np.arange(3.0), ("ok",) * 3, ("",) * 3)
    write_score_report(tmp_path / "r.html", table, {}, "one class")
    page = read_page(tmp_path / "r.html")
    assert page.count("svg") == 0
    assert f"There are no plots of the scores: no {absent} trial has one." in page.text
    assert "There are no figures" in page.text
    assert f"No {absent} trial has a score." in page.text
    assert "there is no threshold of equal error" in page.text


def test_what_went_in_stands_with_its_fingerprint(run):
    page = read_page(run / "report.html")
    sums = hashlib.sha256((run / "scores.tsv").read_bytes()).hexdigest()
    assert f"scores.tsv every trial with its score, or the reason why it has none {sums}" in (
        page.text
    )
    with open_file(run / "ubm.h5") as file:
        assert f"ubm.h5 the background model {file.attrs['fingerprint']}" in page.text
    marks = re.findall(r"Trials 144 ([0-9a-f]{32})", page.text)
    assert len(marks) == 1
    table = read_scores(run / "scores.tsv")
    turned = sorted(range(144), key=lambda i: (i * 7) % 144)
    rows = [
        (
            table.trials.models[table.trials.model_index[i]],
            table.trials.tests[table.trials.test_index[i]],
            int(table.trials.labels[i]),
        )
        for i in turned
    ]
    other = ScoreTable(
        Trials.of(rows), table.scores[turned], *(
            tuple(each[i] for i in turned) for each in (table.statuses, table.reasons)
        )
    )  # fmt: skip
    assert list(inputs_of(other)) == list(inputs_of(table)) == [("Trials", "144", marks[0])]


@pytest.mark.slow
def test_systems_stand_side_by_side(tmp_path):
    table, other = make_table(n_tests=36), make_table(n_tests=36)
    other = replace(other, scores=-other.scores, llrs=-other.llrs)
    aligned = align_tables([table, other], ["first", EVIL])
    found = compare_tables(aligned, EvaluationOptions(n_bootstrap=50)).to_mapping()
    results = figures_of(table) | {
        "systems": {EVIL: figures_of(other)},
        "differences": {EVIL: found},
    }
    write_score_report(tmp_path / "r.html", table, results, "first", others={EVIL: other})
    page = read_page(tmp_path / "r.html")
    assert "system-table" in page.values("id")
    assert f"What {EVIL} has more (+) or less (-) than first" in page.text
    eer = found["metrics"]["eer"]
    assert (
        f"Equal error rate (EER) {100 * eer['difference']:+.2f} % {100 * eer['low']:+.2f} % "
        f"{100 * eer['high']:+.2f} % {eer['p_value']:.3f}" in page.text
    )
    row = page.text.split("Each system on the same trials")[1].split("What ")[0]
    for system in (table, other):
        value = figures_of(system, 0)["metrics"]["eer"]["value"]
        assert f"{100 * value:.2f} %" in row
    drawn = (tmp_path / "r.html").read_text().split('id="plot-det"')[1].split("</figure>")[0]
    assert html.escape(f"{EVIL}: EER", quote=False) in drawn


def test_voices_of_the_worst_errors_can_be_heard_when_asked_for(tmp_path, no_plots):
    out = listened(tmp_path)
    page = read_page(out)
    assert "This page holds recordings of voices: it is biometric data." in page.text
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    players = [attrs for tag, attrs in page.tags if tag == "audio"]
    silent = page.text.count("cannot be played: unreadable") + page.text.count("no recording")
    assert silent > 0
    assert len(players) + silent == 2 * 2 * 20
    for player in players:
        assert player["aria-label"].endswith(("voice of the model", "voice of the test"))
        kind, content = player["src"].split(",")
        assert kind == "data:audio/flac;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)))
        assert rate == (16_000 if "model" in player["aria-label"] else 8000)
        assert np.abs(samples).max() == pytest.approx(0.3, abs=0.02)
    assert not {tag for tag, _ in page.tags} & (LOADING - {"audio"})


def test_clips_are_short_and_what_cannot_be_read_is_said(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(40 * 8000), 8000)
    samples, _ = soundfile.read(io.BytesIO(flac_clip(tmp_path / "long.wav")))
    assert len(samples) == 15 * 8000
    with pytest.raises(AudioError, match="nothing.wav"):
        flac_clip(tmp_path / "nothing.wav")


def test_infinite_figures_are_printed_as_such(tmp_path, no_plots):
    table = make_table()
    metrics = {"cllr": {"value": None, "low": 0.25, "high": None}, "eer": {"value": 0.125}}
    write_score_report(tmp_path / "r.html", table, {"metrics": metrics}, "endless")
    text = read_page(tmp_path / "r.html").text
    assert "Cllr, in bits ∞ 0.2500 ∞" in text
    assert "Equal error rate (EER) 12.50 % – –" in text


@pytest.mark.slow
def test_page_of_many_trials_stays_light(tmp_path):
    table = make_table(n_models=600, n_tests=60)
    write_score_report(tmp_path / "r.html", table, figures_of(table, 0), "many")
    assert (tmp_path / "r.html").stat().st_size < 1_000_000
    assert (
        f"The {MOST_MODELS} models with most errors, of 600" in read_page(tmp_path / "r.html").text
    )


@pytest.mark.parametrize("name", ["results.json", "config.json", "stages.json"])
def test_missing_or_damaged_files_are_named(tmp_path, name):
    folder = make_run(tmp_path / "run", make_table())
    (folder / name).write_text("[1]", encoding="utf-8")
    with pytest.raises(FormatError, match=rf"{name}: must hold a JSON object"):
        write_report(folder, FILES)
    (folder / name).write_text("{", encoding="utf-8")
    with pytest.raises(FormatError, match=rf"{name}: cannot be read"):
        write_report(folder, FILES)
    (folder / name).unlink()
    with pytest.raises(FormatError, match=rf"{name}: no such file"):
        write_report(folder, FILES)
    assert not (folder / "report.html").exists()


def test_ids_are_renamed_in_tags_alone():
    svg = (
        '<svg><metadata>m</metadata><g id="a"/><use xlink:href="#a"/><text> id="a" #a</text></svg>'
    )
    assert with_own_ids(svg, "det") == (
        '<svg><g id="det-a"/><use xlink:href="#det-a"/><text> id="a" #a</text></svg>'
    )
