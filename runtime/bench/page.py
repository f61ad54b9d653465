"""HTML page of a benchmark, with plots and tables, which loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from textgate.bench.plots import STYLE, Axis, Series, plot, stacked_bars, swatch
from textgate.bench.report import (
    agreement_lines,
    cold_start_table,
    latency_table,
    machine_lines,
    noise_line,
    size_table,
)
from textgate.bench.results import Benchmark, Line
from textgate.html_page import PAGE_STYLE, document, escape, table
from textgate.tables import format_count

_MAX_LINEAR_RATIO = 12  # of the slowest to the fastest; above it an axis is logarithmic
_MIN_TIME_SPAN = 0.25  # of the longest time, far above the difference of two runs
_MIN_ACCURACY_SPAN = 0.02

_LATENCY = (
    "Times of one call. <b>both</b> is from texts to predictions; brackets hold 95&nbsp;% "
    "bootstrap intervals. Texts per second are per second of processor time."
)
_COLD_START = "Medians of {} fresh processes per bundle, with the files in the system's cache."

_STYLE = """
.figures { display: grid; gap: 1.5rem; margin-top: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; min-width: 0; max-width: 34rem; }
figcaption { font-weight: 600; } figcaption span { font-weight: 400; color: var(--soft); }
.plot { display: block; width: 100%; height: auto; margin-top: .5rem; }
.legend { list-style: none; margin: .2rem 0 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .1rem 1.2rem; }
.swatch { width: 22px; height: 14px; vertical-align: -2px; margin-right: .4rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; position: sticky; left: 0;
  background: var(--back); }
"""


def page(result: Benchmark) -> str:
    """Return the page: plots first, then tables of all figures."""
    names = [bundle.name for bundle in result.bundles]
    figures = [
        figure
        for figure in (
            _by_length(result, names),
            _distribution(result, names),
            _accuracy(result, names),
            _cold_start(result, names),
        )
        if figure
    ]
    quiet = "soft" if result.noise.quiet else "noisy"
    sections = [
        f"<h1>{escape(_title(names))}</h1>",
        *(f'<p class="soft">{escape(line)}</p>' for line in machine_lines(result)),
        f'<p class="{quiet}">{escape(noise_line(result.noise))}</p>',
        f'<div class="figures">{"".join(figures)}</div>',
        "<h2>Latency</h2>",
        f"<p>{_LATENCY}</p>",
        table(*latency_table(result), "Latency"),
        "<h2>Cold start</h2>",
        f"<p>{_COLD_START.format(result.bundles[0].cold_start.processes)}</p>",
        table(*cold_start_table(result), "Cold start"),
        "<h2>Files</h2>",
        table(*size_table(result), "Files"),
    ]
    agreement = agreement_lines(result)
    if agreement:
        sections += ["<h2>Agreement</h2>", *(f"<p>{escape(line)}</p>" for line in agreement)]
    return document(_title(names), STYLE + PAGE_STYLE + _STYLE, "\n".join(sections))


def _title(names: Sequence[str]) -> str:
    return f"Latency of {', '.join(names)}"


def _by_length(result: Benchmark, names: Sequence[str]) -> str:
    """Return the median by length, at the smallest batch size; "" for fewer than two lengths."""
    size = min(line.batch_size for line in result.lines)
    lines = [line for line in result.lines if line.texts == "words" and line.batch_size == size]
    if len({line.tokens for line in lines}) < 2:
        return ""
    series = []
    for name in names:
        own = sorted((line for line in lines if line.bundle == name), key=lambda each: each.tokens)
        points = tuple((float(line.tokens), line.both.p50) for line in own)
        series.append(Series(name, points, tuple((line.both.p50, line.both.p90) for line in own)))
    drawn = plot(
        "Latency by length",
        series,
        Axis("tokens of a text", from_zero=True),
        Axis("ms", from_zero=True),
    )
    return _figure("Latency by length", f"{_batch(size)}; p50, whiskers to p90", drawn, names)


def _distribution(result: Benchmark, names: Sequence[str]) -> str:
    """Return the distribution of the times at one length."""
    lines = _typical(result)
    series = [
        Series(line.bundle, tuple(zip(line.quantiles[:-1], range(100), strict=True)))
        for line in lines
    ]
    times = [time for line in lines for time in line.quantiles[:-1]]
    drawn = plot(
        "Latency distribution",
        series,
        _time_axis("ms", times),
        Axis("% of calls, cumulative"),
        markers=False,
    )
    return _figure("Latency distribution", f"{_which(lines[0])}; up to p99", drawn, names)


def _accuracy(result: Benchmark, names: Sequence[str]) -> str:
    """Return accuracy against latency; "" without evaluations."""
    if not result.accuracies:
        return ""
    lines = {line.bundle: line for line in _typical(result)}
    series = [
        Series(score.bundle, ((lines[score.bundle].both.p50, score.accuracy),), (score.interval,))
        for score in result.accuracies
    ]
    drawn = plot(
        "Accuracy against latency",
        series,
        _time_axis("p50, ms", [line.both.p50 for line in lines.values()]),
        Axis("accuracy", min_span=_MIN_ACCURACY_SPAN, show="{:.4g}".format),
        lines=False,
    )
    rows = sorted({score.rows for score in result.accuracies})
    counts = " and ".join(format_count(count) for count in rows)
    about = f"{_which(next(iter(lines.values())))}; 95 % intervals, {counts} rows"
    return _figure("Accuracy against latency", about, drawn, names)


def _time_axis(label: str, times: Sequence[float]) -> Axis:
    wide = max(times) > _MAX_LINEAR_RATIO * min(times)
    return Axis(label, logarithmic=wide, min_span=_MIN_TIME_SPAN)


def _cold_start(result: Benchmark, names: Sequence[str]) -> str:
    starts = [bundle.cold_start for bundle in result.bundles]
    stages = {
        "interpreter": [start.interpreter_ms for start in starts],
        "imports": [start.import_ms for start in starts],
        "load": [start.load_ms for start in starts],
        "first prediction": [start.first_ms for start in starts],
    }
    series = [Series(name, tuple(enumerate(values))) for name, values in stages.items()]
    drawn = stacked_bars("Cold start", names, series, Axis("ms", from_zero=True))
    return _figure(
        "Cold start", "a fresh process, to its first answer", drawn, list(stages), bars=True
    )


def _typical(result: Benchmark) -> list[Line]:
    """Return the lines of the smallest batch size and one length: own texts, or a middle length."""
    size = min(line.batch_size for line in result.lines)
    lines = [line for line in result.lines if line.batch_size == size]
    own = [line for line in lines if line.texts == "file"]
    if own:
        return own
    lengths = sorted({line.tokens for line in lines})
    middle = lengths[(len(lengths) - 1) // 2]
    return [line for line in lines if line.tokens == middle]


def _which(line: Line) -> str:
    texts = f"{line.tokens} tokens" if line.texts == "words" else "own texts"
    return f"{texts}, {_batch(line.batch_size)}"


def _batch(size: int) -> str:
    return "one text per call" if size == 1 else f"{size} texts per call"


def _figure(title: str, about: str, drawn: str, names: Sequence[str], *, bars: bool = False) -> str:
    legend = "".join(
        f"<li>{swatch(number, bar=bars)}{escape(name)}</li>" for number, name in enumerate(names)
    )
    return (
        f"<figure><figcaption>{escape(title)} <span>{escape(about)}</span></figcaption>"
        f'{drawn}<ul class="legend">{legend}</ul></figure>'
    )
