"""Read many damaged variants of files; run as a program, so that a crash ends only it.

It prints a line of JSON before each variant (its kind, file and number) and one after (what became
of it), so that the last line tells what it crashed on.
"""

import dataclasses
import hashlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from voicegmm._base.errors import AudioError, FormatError, ListError, OptionError


def content_of(value):
    """Give the SHA-256 of numbers, texts and what is made of them."""
    digest = hashlib.sha256()

    def add(part):
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        elif dataclasses.is_dataclass(part):
            add({field.name: getattr(part, field.name) for field in dataclasses.fields(part)})
        elif isinstance(part, Mapping):
            for key, each in part.items():
                add(key)
                add(each)
        elif isinstance(part, list | tuple):
            digest.update(f"{len(part)}(".encode())
            for each in part:
                add(each)
        else:
            digest.update(f"{part!r};".encode())

    add(value)
    return digest.hexdigest()


def read_features(path):
    from voicegmm.store import FeatureStore

    with FeatureStore(path) as store:
        about = [(name, store.status(name), store.content(name)) for name in store.ids]
        rows = [(store.read([name]), store.positions(name)) for name in store.ids]
        return about, rows, store.labels, store.notes, store.front_end


def read_model(path):
    from voicegmm.store import load

    return load(path)


def read_checkpoint(path):
    from voicegmm.store import TrainingCheckpoint

    return TrainingCheckpoint(path).read()


def read_extraction(path):
    """Give the frames that are kept: those that are not are extracted again."""
    from voicegmm.store.journal import ExtractionJournal

    out = path.with_name(path.name.removesuffix(".partial"))
    kept = {}
    try:
        with ExtractionJournal(out, "mark") as journal:
            for name in "abcdef":
                frames = journal.frames_of(name, f"stamp {name}")
                if frames is not None:
                    kept[name] = frames
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return kept


def read_scoring(path):
    from voicegmm.store import ScoreJournal

    out = path.with_name(path.name.removesuffix(".partial"))
    with ScoreJournal(out) as journal:
        n_kept = journal.begin("mark")
        return {str(number): float(journal.kept(1)[0]) for number in range(n_kept)}


def lazily(module, name, errors):
    """Give what reads a kind of file, imported where it is asked for, and its errors."""
    return lambda: (getattr(importlib.import_module(f"voicegmm.{module}"), name), errors)


READERS = {
    "model": lambda: (read_model, FormatError),
    "features": lambda: (read_features, FormatError),
    "checkpoint": lambda: (read_checkpoint, FormatError),
    "extraction": lambda: (read_extraction, FormatError),
    "scoring": lambda: (read_scoring, FormatError),
    "trials": lazily("corpus", "read_trials", ListError),
    "enrollments": lazily("corpus", "read_enrollments", ListError),
    "segments": lazily("corpus", "read_segments", ListError),
    "utterances": lazily("corpus.tables", "read_utterances", ListError),
    "files": lazily("corpus", "read_files", ListError),
    "labels": lazily("corpus.labels", "read_labels", ListError),
    "recordings": lazily("corpus.kaldi", "read_recordings", ListError),
    "lhotse": lazily("corpus.lhotse", "read_lhotse", ListError),
    "quality": lazily("store", "read_quality_file", (ListError, FormatError)),
    "key": lazily("store", "read_key_file", (ListError, FormatError)),
    "scores": lazily("store", "read_score_file", (ListError, FormatError)),
    "config": lambda: (read_config, OptionError),
    "forged": lambda: (importlib.import_module("forgeries").read, FormatError),
    "audio": lazily("audio", "read_signal", AudioError),
}


def read_config(path):
    from voicegmm._base.presets import load_config

    return load_config(str(path))


def damaged(content, rng):
    """Flip bits, overwrite, cut, grow, leave out, double."""
    size = len(content)
    changed = bytearray(content)
    # Half of all at the start, where headers stand.
    place = int(rng.integers(size if rng.random() < 0.5 else min(size, 600)))
    length = int(rng.integers(1, 65))
    noise = rng.bytes(length)
    match int(rng.integers(9)):
        case 0 | 1 | 2:
            changed[place] ^= 1 << int(rng.integers(8))
        case 3:
            for where in rng.integers(size, size=length):
                changed[int(where)] = int(rng.integers(256))
        case 4:
            changed[place : place + length] = rng.choice([b"\0", b"\xff", b"\x80", b"9"]) * length
        case 5:
            del changed[place:]
        case 6:
            changed += noise
        case 7:
            changed[place:place] = noise if rng.random() < 0.5 else content[place : place + length]
        case _:
            del changed[place : place + length]
    return bytes(changed)


def judge(read, errors, path, wanted):
    """Read a file: "same" or "error" is right; anything else says what is wrong."""
    try:
        found = read(path)
    except errors as error:
        return "error" if path.name in str(error) else f"names no file: {error}"
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"
    if wanted is None:
        return "same"
    if isinstance(wanted, dict):  # what is not kept is made again
        wrong = [key for key in found if content_of(found[key]) != wanted.get(key)]
        return f"wrong content of {wrong}" if wrong else "same"
    return "same" if content_of(found) == wanted else "wrong content"


def main():
    """Read what is to be done from standard input: ``[kind, file, first, last]`` in each line."""
    for job in map(json.loads, sys.stdin):
        kind, source, first, last = job[0], Path(job[1]), job[2], job[3]
        whole = source.read_bytes()
        read, errors = READERS[kind]()
        work = source.with_name(f"variant of {source.name}")
        work.write_bytes(whole)
        right = wanted(kind, source, read(work))  # which also loads all that reading needs
        before = peak(resource.RUSAGE_SELF)
        for number in range(first, last):
            rng = np.random.default_rng([number, len(whole)])
            work.write_bytes(whole if kind == "forged" else damaged(whole, rng))
            if kind == "forged":
                importlib.import_module("forgeries").forge(work, rng)
            print(json.dumps([*job[:2], number]), flush=True)
            start = time.perf_counter(), cpu_seconds()
            verdict = judge(read, errors, work, right)
            seconds = min(time.perf_counter() - start[0], cpu_seconds() - start[1])
            n_bytes = max(peak(resource.RUSAGE_SELF) - before, peak(resource.RUSAGE_CHILDREN))
            if seconds > 2:
                verdict = f"takes {seconds:.1f} s"
            if n_bytes > 200_000_000:
                verdict = f"takes {n_bytes} bytes"
            print(json.dumps(verdict), flush=True)


def wanted(kind, source, content):
    """Give what a damaged file may hold if it is read at all, or None."""
    if kind in ("extraction", "scoring"):
        return {key: content_of(value) for key, value in content.items()}
    if source.name.startswith("sealed"):
        return content_of(content)
    return None  # a text or a sound with another letter in it is another good one


def peak(who):
    """Give the most memory that was held, in bytes."""
    return resource.getrusage(who).ru_maxrss * 1024


def cpu_seconds():
    """Give the time of this process and of those it started: other work does not count."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
