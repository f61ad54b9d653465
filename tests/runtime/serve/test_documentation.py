"""The examples of docs/serving.md run as they stand, but for the port."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
PART = PAGE.partition("\n## The service\n")[2].partition("\n## ")[0]


def examples(language):
    blocks = re.findall(rf"```{language}\n(.*?)```", PART, re.DOTALL)
    return [block for block in blocks if "pip install '.[serve]'" not in block]


@pytest.fixture(scope="module")
def address():
    code = [sys.executable, "-m", "textgate", "serve", "--port", "0"]
    with subprocess.Popen(code, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if found := re.search(r"at http://(\S+)$", line):
                yield found[1]
                break
        process.terminate()


EXPECTED = {
    "python": ["[b'negative' b'positive']", "label='positive'", "[cut off]"],
    "sh": ['"label":"positive"', '"state":"stopped"'],
}


@pytest.mark.parametrize(
    ("language", "index", "expected"),
    [(one, index, words) for one in EXPECTED for index, words in enumerate(EXPECTED[one])],
)
def test_an_example_of_the_page_does_what_it_says(address, language, index, expected):
    if language == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    blocks = examples(language)
    assert len(blocks) == len(EXPECTED[language])
    code = blocks[index].replace("127.0.0.1:8080", address)
    program = [sys.executable, "-c"] if language == "python" else ["bash", "-c"]
    done = subprocess.run([*program, code], capture_output=True, text=True, check=True)
    assert expected in done.stdout


def test_the_guarded_stream_is_cut_off():
    script = ROOT / "docs" / "serve" / "guarded_stream.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("The rooms were clean")
    assert done.stdout.endswith("[cut off: negative]\n")
