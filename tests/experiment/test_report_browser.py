"""The report in a browser: light and dark, on paper, on a phone, and that its players play."""

import html
import queue
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote

import numpy as np
import pytest
from report_pages import BAD, EVIL, figures_of, listened, make_table

from voicegmm.experiment.report import write_score_report


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Give browse(*arguments) -> what headless Chromium prints; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for found in map(shutil.which, names) if found), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is installed")
    profile = tmp_path_factory.mktemp("profile")

    quiet = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    )

    def browse(*arguments):
        done = subprocess.run(
            [program, *quiet, *arguments], capture_output=True, timeout=120, check=True
        )
        return done.stdout.decode()

    def start(*arguments, stderr):
        return subprocess.Popen(
            [program, *quiet, *arguments], stdout=subprocess.DEVNULL, stderr=stderr
        )

    browse.start = start
    return browse


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "ground"), [(1, "#ffffff"), (0, "#14171b")])
def test_page_is_light_or_dark_as_the_reader_wants(browser, run, tmp_path, scheme, ground):
    from matplotlib.image import imread

    shot = tmp_path / "shot.png"
    browser(
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1000,2500",
        f"--screenshot={shot}",
        (run / "report.html").as_uri(),
    )
    picture = np.round(255 * imread(shot)[..., :3]).astype(int)
    wanted = np.array([int(ground[i : i + 2], 16) for i in (1, 3, 5)])
    assert (picture[2, 2] == wanted).all()
    # The plots are drawn for white paper and stand on it in the dark as well.
    assert (picture == 255).all(axis=-1).mean() > 0.1


@pytest.mark.slow
def test_players_take_no_room_on_paper(browser, tmp_path):
    names = "a long name of a voice, as corpora have them, {:03d}".format
    heard, plain = listened(tmp_path, names=names), tmp_path / "plain.html"
    table = make_table(names=names)
    write_score_report(plain, table, figures_of(table, 0), "heard")
    n_pages = []
    for page in (heard, plain):
        out = tmp_path / f"{page.stem}.pdf"
        browser(f"--print-to-pdf={out}", page.as_uri())
        n_pages.append(len(re.findall(rb"/Type /Page\s", out.read_bytes())))
    assert 5 <= n_pages[1] <= n_pages[0] <= n_pages[1] + 1  # one has a warning more
    # What is folded on the screen is unfolded on paper.
    assert "details::details-content { display: block" in plain.read_text().split("@media print")[1]


LISTEN = """
async function listen(page) {
  const found = [...page.querySelectorAll("audio")];
  let played = 0;
  for (const player of found.slice(0, 6)) {
    player.muted = true;
    await player.play();
    while (player.currentTime === 0) await new Promise(done => setTimeout(done, 20));
    if (player.duration > 0.2 && !player.error) played += 1;
    player.pause();
  }
  const drawn = [...page.querySelectorAll("figure svg")];
  const seen = drawn.filter(svg => svg.getBoundingClientRect().height > 100);
  return `played ${played} of ${found.length}, ${seen.length} figures`;
}
function tell(what) { new Image().src = "http://127.0.0.1:PORT/" + encodeURIComponent(what); }
"""


class Ear(BaseHTTPRequestHandler):
    """Hears what a page has to tell."""

    def do_GET(self):
        self.server.heard.put(unquote(self.path[1:]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_players_play_and_nothing_complains(browser, tmp_path):
    page = listened(tmp_path, names=lambda i: f"{EVIL}{i}{BAD}").read_text(encoding="utf-8")
    wrapper = tmp_path / "listen.html"
    with HTTPServer(("127.0.0.1", 0), Ear) as server:
        server.heard = queue.Queue()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = LISTEN.replace("PORT", str(server.server_port))
        wrapper.write_text(
            f"<script>{script}</script><iframe width=1000 height=800 "
            'onload="listen(this.contentDocument).then(tell, tell)" '
            f'srcdoc="{html.escape(page)}"></iframe>',
            encoding="utf-8",
        )
        with (tmp_path / "complaints").open("wb") as complaints:
            program = browser.start(
                "--autoplay-policy=no-user-gesture-required",
                "--enable-logging=stderr",
                wrapper.as_uri(),
                stderr=complaints,
            )
            try:
                told = server.heard.get(timeout=60)
            finally:
                program.terminate()
                program.wait(timeout=30)
                server.shutdown()
    assert told == f"played 6 of {page.count('<audio')}, 6 figures"
    assert b"CONSOLE" not in (tmp_path / "complaints").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("which", ["run", "hostile"])
def test_page_fits_a_phone(browser, which, request, tmp_path):
    page = (request.getfixturevalue(which) / "report.html").read_text(encoding="utf-8")
    wrapper = tmp_path / "phone.html"
    measure = "document.title = this.contentDocument.documentElement.scrollWidth"
    wrapper.write_text(
        f'<iframe width="400" style="border: 0" onload="{measure}" '
        f'srcdoc="{html.escape(page)}"></iframe>',
        encoding="utf-8",
    )
    seen = browser("--dump-dom", wrapper.as_uri())
    assert re.search("<title>([^<]*)</title>", seen)[1] == "400"
