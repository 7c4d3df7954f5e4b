"""Runs and pages for the tests of the report."""

import json
from html.parser import HTMLParser

import numpy as np
import soundfile

from voicegmm._base.options import to_mapping
from voicegmm.corpus import Enrollment, Trials
from voicegmm.experiment import Recipe
from voicegmm.experiment.report import write_score_report
from voicegmm.experiment.report_audio import Listening
from voicegmm.features import PipelineOptions
from voicegmm.mixture import DiagonalGMM, Iteration
from voicegmm.scoring import (
    BackgroundModel,
    ScoreTable,
    write_scores,
)
from voicegmm.scoring.evaluation import (
    EvaluationOptions,
    as_mapping,
    evaluate_table,
)
from voicegmm.store import save_background

EVIL = "<script>alert(1)</script>"
BAD = "alert('\"&amp;{{ 7 * 7 }}.wav"
VOID = {"meta", "link", "br", "hr", "img", "input", "source", "wbr"}
LOADING = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "base"}


class Page(HTMLParser):
    """A page taken apart; refuses tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute stands twice: {attrs}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"closed but not open: {tag}"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").split())

    def values(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]

    def count(self, tag):
        return sum(found == tag for found, _ in self.tags)


def make_table(n_models=6, n_tests=24, calibrated=True, n_failed=0, names="v{:03d}".format):
    """Give scores of every model on every test; the voice of test i is model i % n_models."""
    rng = np.random.default_rng(7)
    model, test = np.repeat(np.arange(n_models), n_tests), np.tile(np.arange(n_tests), n_models)
    labels = (test % n_models == model).astype(np.int8)
    scores = rng.normal(np.where(labels == 1, 0.5, -0.5), 0.4)
    failed = test < n_failed
    scores[failed] = np.nan
    trials = Trials(
        tuple(names(i) for i in range(n_models)),
        tuple(f"test {i}.wav" for i in range(n_tests)),
        model,
        test,
        labels,
    )
    return ScoreTable(
        trials,
        scores,
        tuple("no speech" if f else "ok" for f in failed),
        tuple(
            f"test {i}.wav: too quiet <b>&" if f else "" for i, f in zip(test, failed, strict=True)
        ),
        5.0 * scores if calibrated else None,
    )


def figures_of(table, n_bootstrap=100):
    return as_mapping(*evaluate_table(table, EvaluationOptions(n_bootstrap=n_bootstrap)))


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def make_run(folder, table, **more):
    """Write what a run leaves in its folder, without running anything."""
    folder.mkdir()
    gmm = DiagonalGMM(np.full(4, 0.25), np.arange(12.0).reshape(4, 3), np.ones((4, 3)))
    iterations = tuple(
        Iteration(-10.0 + 0.5 * i, np.ones(4), np.zeros(4), np.zeros(3), np.zeros(4), 0.1)
        for i in range(5)
    )
    save_background(
        folder / "ubm.h5",
        BackgroundModel(gmm, PipelineOptions(), iterations=iterations, n_frames=12345.0),
    )
    write_scores(folder / "scores.tsv", table)
    results = {"name": "a run", "description": "for a test", "failures": [], **figures_of(table)}
    write_json(folder / "results.json", results | more)
    write_json(folder / "config.json", to_mapping(Recipe("a run")))
    environment = {"voicegmm": "9.8.7", "blas": [{"version": "0.3"}, {"version": "0.4"}]}
    write_json(folder / "environment.json", environment)
    stage = {"fingerprint": "f", "seconds": 12.34, "peak_memory_mb": 99.6, "skipped": False}
    write_json(folder / "stages.json", {"scores": stage, "features": stage | {"skipped": True}})
    return folder


def read_page(path):
    return Page(path.read_text(encoding="utf-8"))


def listened(tmp_path, **names):
    """A page with players; test 5 is no sound, and nobody has test 6."""
    folder = tmp_path / "wavs"
    folder.mkdir()
    time = np.arange(12_000) / 8000
    for i in range(24):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 20 * i) * time)
        if i < 6:
            soundfile.write(folder / f"m{i}.wav", tone, 44_100)
        soundfile.write(folder / f"test {i}.wav", tone, 8000)
    (folder / "test 5.wav").write_text("no sound")
    (folder / "test 6.wav").unlink()
    table = make_table(**names)
    enrolled = [Enrollment(model, (f"m{i}.wav",)) for i, model in enumerate(table.trials.models)]
    out = tmp_path / "heard.html"
    listening = Listening.to_folder(folder, enrolled)
    write_score_report(out, table, figures_of(table, 0), "heard", listening=listening)
    return out
