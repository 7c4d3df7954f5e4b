"""A run's report, and one of a run whose names are hostile."""

import pytest
from report_pages import BAD, EVIL, make_run, make_table, write_json

from voicegmm.experiment import FILES
from voicegmm.experiment.report import write_report


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("report") / "run", make_table(n_failed=2))
    write_report(folder, FILES)
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    table = make_table(calibrated=False, n_failed=1, names=lambda i: f"{EVIL}{i}{BAD}")
    folder = tmp_path_factory.mktemp("report") / "hostile"
    make_run(folder, table, name=EVIL, description=BAD, warnings=[f"{EVIL} of {BAD}"])
    write_json(folder / "config.json", {EVIL: {"text": EVIL, "list": [EVIL], "tables": [{BAD: 1}]}})
    reason = f"only {EVIL}"
    write_json(folder / "calibration.json", {"calibration": None, "reason": reason})
    write_report(folder, FILES)
    return folder
