"""Scores, frames and mixtures of other programs into ours, and ours into theirs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicegmm.cli.console import bars, check_output, debug_option, untrusted_option, warn
from voicegmm.cli.passphrases import passphrase_of, passphrase_option
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.features import FrontEnd
    from voicegmm.mixture import Mixture

_PATH = click.Path(path_type=Path)
# What each can be written as; scores as voicegmm.store.SCORE_FILES, which would bring HDF5 with it.
_WRITTEN = {
    "scores": ("voicegmm", "voxceleb", "kaldi", "nist", "asvspoof", "bosaris"),
    "frames": ("voicegmm", "kaldi", "htk", "npz"),
    "mixtures": ("voicegmm", "kaldi", "bob", "sidekit", "npz"),
}
_KINDS = tuple(dict.fromkeys(kind for kinds in _WRITTEN.values() for kind in kinds))
_OURS = ("voicegmm",)
# With what each option goes: what is converted -> as what it is written.
_GOES_WITH: dict[str, dict[str, tuple[str, ...]]] = {
    "key": {"scores": _WRITTEN["scores"]},
    "llr": {"scores": _WRITTEN["scores"]},
    "key_out": {"scores": _WRITTEN["scores"]},
    "text": {"frames": ("kaldi",), "mixtures": ("kaldi",)},
    "scp": {"frames": ("kaldi",)},
    "hop": {"frames": ("voicegmm", "htk"), "mixtures": _OURS},
    "rate": {"frames": _OURS, "mixtures": _OURS},
    "origin": {"frames": _OURS, "mixtures": _OURS},
    "features": {"mixtures": _OURS},
    "config": {"mixtures": _OURS},
    "part": {"mixtures": _WRITTEN["mixtures"]},
    "diagonal": {"mixtures": _WRITTEN["mixtures"]},
}


@click.command(short_help="Turn scores, frames and mixtures of one program into another's.")
@click.argument("source", type=_PATH, metavar="IN")
@click.argument("target", type=_PATH, metavar="[OUT]", required=False)
@click.option("-o", "--out", type=_PATH, help="The file to write, if not named as OUT.")
@click.option(
    "--to",
    "kind",
    type=click.Choice(_KINDS),
    help="Whose.  [default: voicegmm]",
)
@click.option("--key", type=_PATH, help="Scores: the labels, where they have none.")
@click.option("--llr", is_flag=True, help="Scores: they are natural-log likelihood ratios.")
@click.option(
    "--key-out",
    type=_PATH,
    help="Scores: write the labels too: a Key of BOSARIS where the name ends in .h5, else a trial "
    "list.",
)
@click.option("--hop", type=float, metavar="SECONDS", help="From one frame to the next.")
@click.option("--rate", type=int, metavar="HERTZ", help="Sampling rate of the recordings.")
@click.option(
    "--origin",
    metavar="WORDS",
    help="What made the frames. Models take frames of the same origin, hop and rate alone.  "
    "[default: the program and the file]",
)
@click.option(
    "--features",
    type=_PATH,
    metavar="STORE",
    help="A background model's: the store of the frames it was trained on, converted before.",
)
@click.option(
    "--config",
    metavar="NAME|FILE",
    help="A background model's: a front end of ours, if it makes just the frames that it was "
    "trained on.",
)
@click.option("--part", metavar="NAME", help="Which, where a file holds several mixtures.")
@click.option("--diagonal", is_flag=True, help="Keep of full covariances their diagonals alone.")
@click.option("--text", is_flag=True, help="Kaldi's text form in the place of its binary one.")
@click.option("--scp", type=_PATH, help="Write the list of an archive's places too.")
@passphrase_option
@untrusted_option
@debug_option
def convert(
    source: Path,
    target: Path | None,
    out: Path | None,
    kind: str | None,
    passphrase_file: Path | None,
    **options: Any,
) -> None:
    """Turn what another program wrote into ours, or ours into what another reads.

    IN is recognized by its content:

    \b
    scores    of voicegmm, VoxCeleb, Kaldi, NIST, ASVspoof, BOSARIS (HDF5)
    frames    a feature store; Kaldi's ark (compressed too) or scp; a parameter file of
              HTK, or a folder of them; .npy, .npz
    mixtures  a background model, speakers or classes of ours; Kaldi's (diagonal, full);
              HTK's MMF (text); ALIZE's RAW; SIDEKIT's and bob's HDF5; .npz

    Scores are calibrated ratios where there are any; trials without a score are kept by our own
    table alone. Frames and mixtures from elsewhere keep their origin: no model mixes them with
    frames of ours, unless --config says that they are the same.

    An OUT for HTK with a suffix is one file, without one a new folder.
    """  # noqa: D301 - click reads the \\b
    if (target is None) == (out is None):
        raise click.UsageError("name the file to write once: as OUT, or with -o")
    written = target or out
    assert written is not None
    from voicegmm.store import decrypted

    passphrase = passphrase_of(source, passphrase_file)
    read = decrypted(source, passphrase) if passphrase else source
    what, ours = _content_of(read)
    if kind is None:
        if ours and what != "scores":
            raise click.UsageError(f"--to is missing: {', '.join(_WRITTEN[what][1:])}")
        kind = "voicegmm"
    if kind not in _WRITTEN[what]:
        raise click.UsageError(
            f"{source} holds {what}, which are written --to {', '.join(_WRITTEN[what])}; got {kind}"
        )
    _check_options(options, what, kind)
    check_output(written, source, options["key"], options["features"])
    if options["scp"]:
        check_output(options["scp"], source, written)
    with _as_private_as(source, bool(passphrase)):
        if what == "scores":
            _scores(source, written, kind, options)
        elif what == "frames":
            _frames(source, written, kind, ours, options)
        else:
            _mixture(read, written, kind, ours, options)


def _content_of(source: os.PathLike[str]) -> tuple[str, bool]:
    """Tell what a file holds, scores where it is nothing else, and whether it is ours."""
    from voicegmm.store.interop import ARRAYS, MIXTURES, own_kind, recognize

    kind = recognize(source)
    if kind == "voicegmm":
        return ("frames" if own_kind(source) == "voicegmm/features" else "mixtures"), True
    if kind in ARRAYS or kind in MIXTURES:
        return ("frames" if kind in ARRAYS else "mixtures"), False
    return "scores", False


def _check_options(options: dict[str, Any], what: str, kind: str) -> None:
    """Refuse an option that would change nothing."""
    for name, value in options.items():
        goes_with = _GOES_WITH[name]
        given = value is not None and value is not False
        if given and kind not in goes_with.get(what, ()):
            fits = " or ".join(f"{w} --to {', '.join(kinds)}" for w, kinds in goes_with.items())
            raise click.UsageError(
                f"--{name.replace('_', '-')} goes with {fits}; here are {what} --to {kind}"
            )


@contextmanager
def _as_private_as(source: Path, encrypted: bool) -> Iterator[None]:
    """Write for the owner only what comes from a file for the owner only, or an encrypted one."""
    private = encrypted or not source.stat().st_mode & 0o077
    before = os.umask(0o077) if private else None
    try:
        yield
    finally:
        if before is not None:
            os.umask(before)


def _scores(source: Path, out: Path, kind: str, options: dict[str, Any]) -> None:
    from voicegmm.store import read_labeled, write_key_file, write_score_file

    key_out = options["key_out"]
    if key_out:
        check_output(key_out, source, options["key"], out)
    table = read_labeled(source, options["key"], options["llr"])
    n_left = write_score_file(out, table, kind)
    if n_left:
        warn(f"{n_left} trials without a score are left out")
    say(f"{out}: {len(table) - n_left} trials")
    if key_out:
        write_key_file(key_out, table.trials)
        labels = "" if (table.trials.labels >= 0).all() else ", without labels"
        say(f"{key_out}: {len(table)} trials{labels}")


def _frames(source: Path, out: Path, kind: str, ours: bool, options: dict[str, Any]) -> None:
    from voicegmm._base.errors import OptionError
    from voicegmm.store import FeatureStore
    from voicegmm.store.interop import (
        read_arrays,
        recognize,
        store_arrays,
        write_arrays,
        write_foreign_store,
    )

    given = {"as_text": options["text"], "script": options["scp"], "hop_seconds": options["hop"]}
    if kind == "voicegmm":
        if options["rate"] is None:
            raise OptionError(f"{source} does not tell the sampling rate; state it (--rate HERTZ)")
        origin = options["origin"] or f"{recognize(source).split()[0]}: {source.name}"
        with bars() as progress:
            n_written = write_foreign_store(
                out,
                read_arrays(source),
                origin,
                options["hop"],
                options["rate"],
                lambda done: progress("recordings", done, 0),
            )
    elif ours:
        with FeatureStore(source) as store:
            n_written = write_arrays(out, store_arrays(store), kind, **given)
            if n_written < len(store.ids):
                warn(f"{len(store.ids) - n_written} recordings without frames are left out")
    else:
        n_written = write_arrays(out, read_arrays(source), kind, **given)
    say(f"{out}: {n_written} recordings")


def _mixture(
    source: os.PathLike[str], out: Path, kind: str, ours: bool, options: dict[str, Any]
) -> None:
    from voicegmm.store import save_background
    from voicegmm.store.interop import (
        diagonal_of,
        foreign_background,
        own_mixtures,
        read_mixtures,
        recognize,
        write_mixture,
    )

    gmm = _part(own_mixtures(source) if ours else read_mixtures(source), options["part"], source)
    if options["diagonal"]:
        gmm = diagonal_of(gmm)
    if kind == "voicegmm":
        if ours:
            raise click.UsageError(f"{source} is a file of ours already")
        program = recognize(source).split()[0]
        front_end = _front_end(gmm, program, source, options)
        save_background(out, foreign_background(source, gmm, program, front_end))
    else:
        write_mixture(out, gmm, kind, as_text=options["text"])
    say(f"{out}: {gmm.n_components} components of {gmm.n_dims} dimensions, {gmm.covariance_type}")


def _part(mixtures: "dict[str, Mixture]", part: str | None, source: os.PathLike[str]) -> "Mixture":
    from voicegmm._base.checks import did_you_mean, listed
    from voicegmm._base.errors import OptionError

    if part is None and len(mixtures) == 1:
        return next(iter(mixtures.values()))
    if part not in mixtures:
        missing = "say which (--part)" if part is None else f"none is called {part!r}"
        near = did_you_mean(part, mixtures) if part else ""
        names = listed(list(mixtures), 10)
        raise OptionError(f"{source}: {missing}{near}; it holds {names or 'none'}")
    return mixtures[part]


def _front_end(
    gmm: "Mixture", program: str, source: os.PathLike[str], options: dict[str, Any]
) -> "FrontEnd":
    """Tell what makes the frames of a mixture from elsewhere, as it was stated, in one way."""
    from voicegmm._base.errors import OptionError
    from voicegmm.features import ForeignFrontEnd, load_front_end
    from voicegmm.store import FeatureStore

    stated = [name for name in ("hop", "rate", "origin") if options[name] is not None]
    ways = [name for name in ("features", "config") if options[name]] + stated[:1]
    if len(ways) > 1:
        raise click.UsageError(f"--{ways[0]} says it all; leave out --{ways[1]}")
    if options["features"]:
        with FeatureStore(options["features"]) as store:
            return store.front_end
    if options["config"]:
        return load_front_end(options["config"])
    if options["hop"] is None or options["rate"] is None:
        raise OptionError(
            f"{source} does not tell what makes the frames it was trained on; state it: --features "
            "STORE, a store of them; --config NAME, a front end of ours that makes just the same; "
            "or --hop and --rate (and --origin), for frames yet to be converted"
        )
    origin = options["origin"] or f"{program}: {Path(source).name}"
    return ForeignFrontEnd(origin, gmm.n_dims, options["hop"], options["rate"])
