"""The page of `textgate bench --html`: complete, self-contained, readable on a phone, in the dark.

What a parser can tell is told without a browser; the rest is measured in Chromium where it is
installed.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from textgate.bench.agreement import Agreement
from textgate.bench.coldstart import ColdStart
from textgate.bench.machine import Machine
from textgate.bench.noise import Noise
from textgate.bench.page import page
from textgate.bench.results import Accuracy, Benchmark, Line, Measured, Ratio, Times

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
VOID = {"meta", "br", "hr", "img", "input", "link"}
WICKED = 'a <b>&"bold"</b> name_that_is_much_longer_than_any_column_of_the_page_could_ever_be'


def times(p50: float) -> Times:
    interval = (p50 * 0.99, p50 * 1.01)
    return Times(p50, p50 * 1.2, p50 * 2, p50 * 30, 1234, interval, interval, interval)


def benchmark(
    names: tuple[str, ...] = ("first", "second"),
    *,
    lengths: tuple[int, ...] = (10, 25, 100),
    noisy: bool = False,
    evaluated: bool = True,
) -> Benchmark:
    """Figures as they could be, without measuring any."""
    start = ColdStart(5, 20.0, 210.5, 3.1, 7.25, 240.85, 0.2, 11_000_000, None, 60_000_000, 1)
    lines = tuple(
        Line(
            bundle=name,
            texts="words",
            tokens=tokens,
            batch_size=size,
            tokenize=times(0.002 * tokens),
            run=times(0.003 * tokens * (index + 1)),
            both=times(0.005 * tokens * (index + 1)),
            quantiles=tuple(0.004 * tokens * (index + 1) * (1 + n / 50) for n in range(101)),
            texts_per_second_per_core=12_345.6,
            ratio=None if index == 0 else Ratio(index + 1.0, index + 0.9, index + 1.1),
        )
        for tokens in lengths
        for size in (1, 32)
        for index, name in enumerate(names)
    )
    return Benchmark(
        machine=Machine("A <processor>", "x86_64", ("avx2",), 2, "Linux", {"python": "3.11"}, 0.1),
        governor=None,
        threads=1,
        noise=Noise(20.0, 1.5, 0.5, 1.5, ("it hums", "it hisses") if noisy else ()),
        bundles=tuple(
            Measured(name, f"/models/{name}", "lstm", "int8", 100, {"model.onnx": 123_456}, start)
            for name in names
        ),
        lines=lines,
        agreements=tuple(Agreement(names[0], name, 48, 0.975, 0.01) for name in names[1:]),
        accuracies=tuple(
            Accuracy(name, 1412, 0.7 + 0.05 * index, (0.68 + 0.05 * index, 0.72 + 0.05 * index))
            for index, name in enumerate(names)
        )
        if evaluated
        else (),
    )


class Reader(HTMLParser):
    """Takes a page apart, insisting that every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)


def test_every_figure_and_table_is_there():
    result = benchmark()
    found = Reader(page(result))
    assert found.texts["figcaption"] == [
        "Latency by length ", "Latency distribution ", "Accuracy against latency ", "Cold start ",
    ]  # fmt: skip
    assert found.texts["h2"] == ["Latency", "Cold start", "Files", "Agreement"]
    assert sum(tag == "tr" for tag, _ in found.tags) == len(result.lines) + 1 + 2 * 3
    said = " ".join(found.texts["p"])
    assert "A <processor>" in said
    assert "second and first give the same labels on 97.50% of 48 texts" in said
    assert "first: accuracy 0.7000" in said
    assert "0.125 ms" in found.texts["td"]


def test_figures_without_data_are_left_out():
    shown = Reader(page(benchmark(("only",), lengths=(10,), evaluated=False)))
    assert shown.texts["figcaption"] == ["Latency distribution ", "Cold start "]
    assert shown.texts["h2"] == ["Latency", "Cold start", "Files"]
    assert "ratio to first bundle" not in shown.texts["th"]


@pytest.mark.parametrize("noisy", [True, False])
def test_a_noisy_machine_is_said_first(noisy):
    found = Reader(page(benchmark(noisy=noisy)))
    classes = [attributes.get("class") for tag, attributes in found.tags if tag == "p"]
    assert ("noisy" in classes) is noisy
    assert any("it hums; it hisses" in text for text in found.texts["p"]) is noisy


def test_nothing_comes_from_elsewhere_and_nothing_runs():
    text = page(benchmark((WICKED, "second")))
    found = Reader(text)
    used = {tag for tag, _ in found.tags}
    assert not used & {"script", "link", "img", "iframe", "object"}
    names = {name for _, attributes in found.tags for name in attributes}
    assert not names & {"src", "href", "srcset", "action", "background"}
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in text
    assert "@import" not in text
    policy = [a["content"] for tag, a in found.tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert any(WICKED in name for name in found.texts["li"])


def colours(text: str) -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme, by name."""
    light, dark = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    )
    return [light, dark]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_are_told_from_the_background_in_light_and_dark(scheme):
    found = colours(page(benchmark()))[scheme]
    back = luminance(found.pop("back"))
    found.pop("rule")
    assert set(found) == {"text", "soft", *(f"c{number}" for number in range(6))}
    for name, colour in found.items():
        bright, dim = sorted([luminance(colour), back], reverse=True)
        least = 4.5 if name in ("text", "soft") else 3  # WCAG 2.1 for text and for graphics
        assert (bright + 0.05) / (dim + 0.05) >= least, name


# What a browser makes of it

# Lays the page out in a frame of a phone's or a desk's width; reports what sticks out or overlaps.
MEASURE = """<!DOCTYPE html><body><iframe id="frame" style="border:0;width:{width}px;height:900px"
srcdoc="{page}"></iframe><pre id="found"></pre><script>
document.getElementById("frame").onload = () => {{
  const inside = document.getElementById("frame").contentDocument, found = [];
  const root = inside.documentElement;
  for (const table of inside.querySelectorAll(".scroll"))
    if ({width} >= {whole} && table.scrollWidth > table.clientWidth)
      found.push(table.ariaLabel + " is cut at " + table.clientWidth + " of " + table.scrollWidth);
  if (root.scrollWidth > {width}) found.push("the page is " + root.scrollWidth + " wide");
  for (const svg of inside.querySelectorAll("svg.plot")) {{
    const box = svg.getBoundingClientRect(), seen = [];
    if (box.width < {width} / 4) found.push("a plot of width " + box.width);
    for (const text of svg.querySelectorAll("text")) {{
      const one = text.getBoundingClientRect(), said = JSON.stringify(text.textContent);
      if (one.height < 10) found.push(said + " is " + one.height + " high");
      if (one.left < box.left - 1 || one.right > box.right + 1 || one.top < box.top - 1 ||
          one.bottom > box.bottom + 1) found.push(said + " sticks out");
      for (const [other, words] of seen)
        if (one.left < other.right && other.left < one.right && one.top < other.bottom - 3 &&
            other.top < one.bottom - 3) found.push(said + " overlaps " + words);
      seen.push([one, said]);
    }}
  }}
  const plots = inside.querySelectorAll("svg.plot").length;
  document.getElementById("found").textContent = JSON.stringify({{plots, found}});
}};
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium on the path: apt-get install chromium")
@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize(
    ("result", "whole"),
    [
        (benchmark(("sentiment", "seed-lstm-int8")), 1200),
        # With a name of this length tables are wider than any screen, and scroll.
        (
            benchmark(("a", "b", "c", "d", WICKED, "f", "g"), lengths=(1, 100, 4096), noisy=True),
            10_000,
        ),
        (benchmark(("only",), lengths=(10,), evaluated=False), 1200),
    ],
    ids=["two", "many", "one"],
)
def test_the_page_fits_a_phone_and_a_desk(tmp_path, width, result, whole):
    file = tmp_path / "measure.html"
    filled = MEASURE.format(width=width, whole=whole, page=html.escape(page(result)))
    file.write_text(filled, encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width + 100},1000"]
    done = subprocess.run(
        [*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    said = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]
    report = json.loads(html.unescape(said))
    assert report["found"] == []
    assert report["plots"] == page(result).count('<svg class="plot"')
