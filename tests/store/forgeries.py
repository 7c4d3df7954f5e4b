"""Files of ours with wrong content under good seals and fingerprints, as forgers write them."""

import json
from contextlib import ExitStack, contextmanager
from unittest import mock

import h5py
import numpy as np
from forging import altered

from voicegmm._base.errors import FormatError, VoicegmmError
from voicegmm.scoring import ClassModels, Voices, score_recording
from voicegmm.store import describe, fusion, load, models, save, statistics, subspace

NUMBERS = [0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e308, -1e308, 3e38, 2**31, 2**53, -(2**63)]
NUMBERS += [np.nan, np.inf, -np.inf]
VALUES = [None, True, False, 0, -1, 1, 10**30, 0.5, 1e308, "", "x", "a\nb", "\x1b[2J", [], {}, [[]]]
VALUES += [
    "isv",
    "ivector",
    "cosine",
    [1, 2],
    ["a", "a"],
    {"x": 1},
    [None],
    "0" * 64,
    2**31,
    -(2**63),
]
TYPES = ["<f4", ">f8", "<i8", "u1", "?", "<f2", "<u4"]


def forge(path, rng):
    """Change one or two things in a file, and seal it again."""
    with altered(path) as file:
        for _ in range(int(rng.integers(1, 3))):
            places = ["/"]
            file.visit(places.append)
            place = places[int(rng.integers(len(places)))]
            item = file[place]
            names = list(item.attrs)
            if names and (isinstance(item, h5py.Group) or rng.random() < 0.5):
                _change_attribute(item, names[int(rng.integers(len(names)))], rng)
            elif isinstance(item, h5py.Dataset):
                _change_dataset(file, place, rng)
            elif place != "/" and rng.random() < 0.3:
                del file[place]


def _change_attribute(item, name, rng):
    value = item.attrs[name]
    if rng.random() < 0.1:
        del item.attrs[name]
    elif isinstance(value, str) and value[:1] in "[{":
        item.attrs[name] = _other_json(value, rng)
    else:
        item.attrs[name] = _one_of([v for v in [*VALUES, *NUMBERS] if _fits_attribute(v)], rng)


def _fits_attribute(value):
    return isinstance(value, bool | float | str) or (isinstance(value, int) and abs(value) <= 2**63)


def _one_of(values, rng):
    return values[int(rng.integers(len(values)))]


def _other_json(text, rng):
    """Change something, anywhere in it."""
    if rng.random() < 0.05:
        return _one_of([text[:-1], "", "[" * 5000, "null", "[]", "{}", "nonsense"], rng)
    try:
        value = json.loads(text)
    except ValueError:  # it was changed before
        return text
    return json.dumps(_changed(value, rng), ensure_ascii=False)


def _changed(value, rng):
    keys = (
        list(value)
        if isinstance(value, dict)
        else list(range(len(value)))
        if isinstance(value, list)
        else []
    )
    if not keys or rng.random() < 0.2:
        if isinstance(value, list) and keys and rng.random() < 0.5:
            return value + value[:1] if rng.random() < 0.5 else value[1:]
        if isinstance(value, float | int) and not isinstance(value, bool) and rng.random() < 0.5:
            return value * _one_of([-1, 0, 2, 1000, 0.5], rng)
        return _one_of(VALUES, rng)
    key = _one_of(keys, rng)
    changed = value.copy()
    if isinstance(value, dict) and rng.random() < 0.1:
        del changed[key]
    else:
        changed[key] = _changed(value[key], rng)
    return changed


def _change_dataset(file, place, rng):
    old = file[place][...]
    is_text = old.dtype == np.uint8 and old.ndim == 1 and old[:1].tobytes() == b"["
    if is_text and rng.random() < 0.8:
        text = _other_json(old.tobytes().decode(errors="replace"), rng)
        new = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    else:
        new = _other_array(old, rng)
    del file[place]
    if rng.random() > 0.05:
        file[place] = new
    elif rng.random() < 0.5:
        file.create_group(place)


def _other_array(old, rng):
    new = old.copy()
    match int(rng.integers(9)):
        case 0 | 1 | 2 if new.size:
            with np.errstate(all="ignore"):
                value = np.array(_one_of(NUMBERS, rng), np.float64).astype(new.dtype)
            new.reshape(-1)[int(rng.integers(new.size))] = value
        case 3 if new.size:
            with np.errstate(all="ignore"):
                new[...] = np.array(_one_of(NUMBERS, rng), np.float64).astype(new.dtype)
        case 4 if new.ndim:
            return new[:-1]
        case 5 if new.ndim:
            return np.concatenate([new, new[-1:]])
        case 6:
            return _one_of(
                [new.T, new[None], new.reshape(-1), new[..., :0], new[..., :-1]]
                if new.ndim
                else [new[None]],
                rng,
            )
        case 7:
            with np.errstate(all="ignore"):
                return new.astype(_one_of(TYPES, rng))
        case _ if new.ndim:
            return rng.permutation(new, axis=int(rng.integers(new.ndim)))
    return new


class _Fits(str):
    """The digest of anything."""

    __slots__ = ()

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = str.__hash__


@contextmanager
def believing():
    """Let every fingerprint fit, as a forger would see to."""

    def fits(*_):
        return _Fits("0" * 32)

    places = [(module, "digest_of") for module in (models, subspace, statistics)]
    with ExitStack() as stack:
        for place in [*places, (fusion, "_mark"), (ClassModels, "fingerprint_with")]:
            stack.enter_context(mock.patch.object(*place, fits))
        stack.enter_context(mock.patch.object(models, "canonical_json", str))
        yield


def read(path):
    """Do with a file of models what is done with it: load it, tell of it, save it, score by it."""
    with believing():
        found = load(path)
        json.dumps(describe(path))
    with mock.patch("os.fsync"):  # it may be lost
        save(path.with_name("saved again.h5"), found)
    if isinstance(found, Voices):
        try:
            scores = score_recording(found, np.zeros((5, found.speakers.background.gmm.n_dims)))
            assert scores.shape == (len(found.speakers.ids),)
        except VoicegmmError as error:
            raise FormatError(f"{path}: {error}") from error
    return found
