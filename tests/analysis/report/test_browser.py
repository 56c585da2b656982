"""The page in a real browser, without a screen: it renders, logs no error, fetches nothing, and its tables sort."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from urllib.parse import unquote

import pytest
from tickets.analysis.report import PAGE, make_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium`, `chromium-browser` or `google-chrome` on PATH")

# Runs beside the page's own script: sorts a table twice, then says what happened in the page's title.
PROBE = """
<script>
const wrong = [];
addEventListener("error", (event) => wrong.push("error " + event.message), true);
addEventListener("securitypolicyviolation", (event) => wrong.push("refused " + event.blockedURI));
addEventListener("load", () => {
  const table = document.querySelector(".wide table"), button = table.querySelector("th button");
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join(" ");
  const seen = [column()];
  for (let k = 0; k < 2; k++) { button.click(); seen.push(column()); }
  const seen_svg = [...document.querySelectorAll("figure svg")].filter((one) => one.checkVisibility());
  const svg = seen_svg.map((one) => one.getBoundingClientRect());
  const drawn = svg.filter((box) => box.width > 200 && box.height > 100).length;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const style = (one, name) => getComputedStyle(one)[name];
  const colours = [style(document.body, "backgroundColor"), style(document.querySelector("figure svg text"), "fill")];
  const wide = document.documentElement.scrollWidth > innerWidth;
  const fetched = performance.getEntriesByType("resource").map((one) => one.name);
  const found = { wrong, seen, drawn, dark, colours, wide, fetched };
  document.documentElement.dataset.found = encodeURIComponent(JSON.stringify(found));
});
</script>
"""


def browse(path, folder, *options):
    """(what chromium printed, what it logged) of a page, in a fresh profile."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--hide-scrollbars"]
    command = [CHROMIUM, *flags, f"--user-data-dir={folder / 'profile'}", *options, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


def probed(files, folder):
    """The page with the probe in it, which its policy is told to let run."""
    html = files[PAGE].decode()
    html = re.sub(r"script-src '[^']+'|script-src &#39;[^&]+&#39;", "script-src 'unsafe-inline'", html, count=1)
    assert "unsafe-inline'\">" in html
    (folder / "probed.html").write_text(html.replace("<style>", PROBE + "<style>", 1))
    return folder / "probed.html"


@pytest.fixture(scope="module")
def files(saved):
    return make_report(saved)[0]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 500)])
def test_it_renders_sorts_and_logs_nothing(files, tmp_path, scheme, width):
    page = probed(files, tmp_path)
    options = [f"--window-size={width},900", "--dump-dom"]
    options += ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    printed, logged = browse(page.as_uri(), tmp_path, *options)
    assert logged == []
    found = json.loads(unquote(re.search(r'data-found="([^"]+)"', printed)[1]))
    assert found["wrong"] == found["fetched"] == []
    assert found["drawn"] == 7
    as_written, up, down = ([float(cell) for cell in text.split()] for text in found["seen"])
    assert up == sorted(as_written)
    assert down == sorted(as_written, reverse=True)
    assert not found["wide"]  # nothing sticks out sideways
    assert found["dark"] == (scheme == "dark")
    paper, ink = ([int(part) for part in re.findall(r"\d+", colour)[:3]] for colour in found["colours"])
    assert (sum(paper) < sum(ink)) == (scheme == "dark")
    assert abs(sum(paper) - sum(ink)) > 400


@pytest.mark.parametrize("width", [1280, 500])
def test_many_starts_render_with_their_runs_folded(why_files, tmp_path, width):
    page = probed(why_files, tmp_path)
    printed, logged = browse(page.as_uri(), tmp_path, f"--window-size={width},900", "--dump-dom")
    assert logged == []
    found = json.loads(unquote(re.search(r'data-found="([^"]+)"', printed)[1]))
    assert found["wrong"] == found["fetched"] == []
    assert found["drawn"] == 4  # those of the runs are folded
    assert not found["wide"]


def test_the_page_as_it_is_runs_its_script_and_logs_nothing(files, tmp_path):
    (tmp_path / PAGE).write_bytes(files[PAGE])
    printed, logged = browse((tmp_path / PAGE).as_uri(), tmp_path, "--dump-dom")
    assert logged == []
    assert '<th scope="col"><button type="button">density</button></th>' in printed


def test_it_asks_the_network_for_nothing(files, tmp_path):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(files[PAGE] if self.path == "/" else b"")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            printed, logged = browse(f"http://127.0.0.1:{server.server_port}/", tmp_path, "--dump-dom")
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/"]
    assert (logged, "<svg" in printed) == ([], True)


def test_a_screenshot_is_not_blank(files, tmp_path):
    import numpy as np
    from PIL import Image

    (tmp_path / PAGE).write_bytes(files[PAGE])
    shot = tmp_path / "shot.png"
    browse((tmp_path / PAGE).as_uri(), tmp_path, "--window-size=1280,2000", f"--screenshot={shot}")
    assert len(np.unique(np.asarray(Image.open(shot).convert("L")))) > 50
