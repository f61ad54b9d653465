"""The page at `/`, in Chromium: offline, by keyboard, on a phone, in the dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

# The ratio of luminances of two colours, as WCAG 2 defines it.
CONTRAST = """([ink, page]) => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((c) => c / 255).map(
      (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark, bright] = [light(ink), light(page)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}"""


@pytest.fixture
def open_page(browser, server):
    pages = []

    def start(url=server.url, **options):
        page = browser.new_page(**options)
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(url)
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.close()


def ready(page):
    page.wait_for_selector("#facts:not(:empty)")
    return page


def test_the_decision_changes_with_every_word(open_page, server):
    page = ready(open_page())
    page.type("#text", "a great , funny and moving film")
    expect(page.locator("#words li")).to_have_count(7)
    expect(page.locator("#words")).to_contain_text("film")
    assert page.inner_text("#decision").startswith("positive (")
    assert page.locator("#bars tbody tr").count() == 2
    assert page.locator("#bars .zone").count() == 0
    assert page.inner_text("#bars caption") == "Probabilities"
    assert "tokens read" in page.inner_text("#facts-of-text")
    assert " ms " in page.inner_text("#facts-of-text")
    assert page.problems == []
    assert all(url.startswith((server.url, "data:", "blob:")) for url in page.asked)


def test_words_are_shown_for_and_against_the_label(open_page):
    page = ready(open_page())
    text = "\U0001f600 a great , dull  film"
    page.fill("#text", text)
    expect(page.locator("#explanation mark")).to_have_count(6)
    assert page.inner_text("#explanation-heading") == "For and against positive"
    great = page.locator("#explanation mark", has_text="great")
    assert great.get_attribute("class") == "for"
    assert great.get_attribute("title").endswith(" for positive")
    assert great.inner_text().split()[1] == great.get_attribute("title").split()[0]
    numberless = page.evaluate("""() => {
        const copy = document.getElementById("explanation").cloneNode(true);
        copy.querySelectorAll("small").forEach((small) => small.remove());
        return copy.textContent;
    }""")
    assert numberless == text
    page.fill("#text", "dull " * 60)
    expect(page.locator("#explanation s")).to_have_count(1)
    assert page.problems == []


def test_another_model_shows_its_labels_and_where_it_abstains(open_page):
    page = ready(open_page())
    page.select_option("#model", "topics:1")
    page.fill("#text", "a great film")
    expect(page.locator("#bars tbody tr")).to_have_count(5)
    assert page.locator("#bars .zone").count() == 5
    assert page.inner_text("#bars caption").endswith("In the hatched zone a label does not apply.")
    assert page.problems == []


def test_a_text_is_never_html(open_page):
    page = ready(open_page())
    wicked = "<img src=x onerror=document.title='wicked'> <b>bold</b>"
    page.fill("#text", wicked)
    page.fill("#rows", wicked)
    page.click("#classify")
    page.wait_for_selector("#results td")
    assert page.locator("main b, main img").count() == 0
    assert page.title() == "textgate"
    assert wicked in page.inner_text("#results")


def test_pasted_rows_fill_a_table_that_can_be_downloaded(open_page):
    page = ready(open_page())
    page.fill("#rows", 'a great film\n\n=1+1 "quoted"\r\ndull')
    page.click("#classify")
    page.wait_for_selector("#download:not([hidden])")
    assert page.locator("#results tbody tr").count() == 3
    with page.expect_download() as download:
        page.click("#download")
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == "label,score,text"
    assert len(lines) == 4
    assert lines[1].endswith(',"a great film"')
    assert lines[2].endswith(',"\'=1+1 ""quoted"""')  # no formula for a spreadsheet
    assert page.problems == []


def test_everything_can_be_reached_by_keyboard_and_has_a_name(open_page):
    page = ready(open_page())
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "rows"
    page.keyboard.type("a great film")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results td")
    nameless = page.evaluate("""() => [...document.querySelectorAll("textarea, select, input")]
        .filter((field) => !field.labels.length).map((field) => field.id)""")
    assert nameless == []
    assert page.get_attribute("#decision", "aria-live") == "polite"
    assert page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (390, "light"), (1200, "dark")])
def test_it_fits_the_screen_and_can_be_read(open_page, scheme, width):
    viewport = {"width": width, "height": 800}
    page = ready(open_page(viewport=viewport, color_scheme=scheme))
    page.fill("#text", "unbreakable" * 30 + " a great , funny and moving film")
    page.fill("#rows", "unbreakable" * 30 + "\na great film")
    page.click("#classify")
    page.wait_for_selector("#results td")
    page.wait_for_selector("#explanation mark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate("""() => {
        const below = (one) => {
            const colour = getComputedStyle(one).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? below(one.parentElement) : colour;
        };
        return [...document.querySelectorAll("body, #facts, #words small, a, caption, button")]
            .map((one) => [getComputedStyle(one).color, below(one)]);
    }""")
    for pair in colours:
        assert page.evaluate(CONTRAST, pair) >= 4.5
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 23, 27)"
    assert is_dark == (scheme == "dark")


def test_the_policy_allows_no_script_but_the_pages_own(open_page, client):
    policy = client().get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    page = ready(open_page())
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'injected'";
        document.body.append(script);
    }""")
    assert page.title() == "textgate"


def test_a_token_is_asked_for(open_page, serving, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n", encoding="utf-8")
    with serving("--token-file", tokens) as guarded:
        page = open_page(guarded.url)
        page.wait_for_selector("#token-form:not([hidden])")
        assert "token" in page.inner_text("#problem")
        page.fill("#text", "too early")
        page.fill("#rows", "too early")
        page.click("#classify")
        page.fill("#token", "secret")
        page.click("#token-form button")
        ready(page)
        assert page.inner_text("#problem") == ""
        expect(page.locator("#words li")).to_have_count(2)
        page.fill("#text", "lovely")
        expect(page.locator("#words li")).to_have_count(1)
        assert all("401" in problem for problem in page.problems)
        page.close()
