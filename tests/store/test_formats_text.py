"""FORMATS.md tells of every format there is, in its newest version."""

import importlib
import pkgutil
import re
from importlib import resources

import voicegmm.store


def test_every_format_stands_in_the_text():
    text = resources.files("voicegmm.store").joinpath("FORMATS.md").read_text("utf-8")
    rows = re.findall(r"^\| `(voicegmm/[a-z-]+)` \| (\d+) \|", text, re.M)
    told = {name: int(version) for name, version in rows}
    rooms = [
        f"voicegmm.store.{each.name}" for each in pkgutil.iter_modules(voicegmm.store.__path__)
    ]
    known = {}
    for module in map(importlib.import_module, [*rooms, "voicegmm.scoring.table"]):
        for name, value in vars(module).items():
            if name.endswith("FORMAT") and isinstance(value, str) and value.startswith("voicegmm/"):
                version = getattr(module, name.removesuffix("FORMAT") + "VERSION", None)
                if version is not None:  # else it is of another module
                    known[value] = version
    assert told == known
    for name in known:
        assert re.search(rf"^## .*`{name}`", text, re.M), name
