"""The npm package: what is in it, its types, and modules that are as new as their sources."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import textgate

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runtime" / "web"
SOURCES = PACKAGE / "src"


def script(name):
    """A module of .ci, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_modules_are_compiled_from_the_sources():
    checksum = script("wasm").sources_checksum().encode()
    for name in ("engine.wasm", "engine_fused.wasm"):
        module = (SOURCES / name).read_bytes()
        assert module.endswith(checksum), "run python .ci/wasm.py"


def test_the_modules_ask_for_nothing(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the path")
    code = f"""import {{ readFileSync }} from "node:fs";
    const module = new WebAssembly.Module(readFileSync({json.dumps(str(SOURCES / "engine.wasm"))}));
    console.log(WebAssembly.Module.imports(module).length);"""
    (tmp_path / "job.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run([node, tmp_path / "job.mjs"], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_code_without_a_model_is_small():
    largest = sum(
        path.stat().st_size for path in SOURCES.iterdir() if path.name != "engine_fused.wasm"
    )
    assert largest <= 360_000


def test_the_version_is_that_of_python():
    assert (
        json.loads((PACKAGE / "package.json").read_text("utf-8"))["version"] == textgate.__version__
    )


def test_nothing_is_imported_from_elsewhere_and_nothing_is_evaluated():
    for path in SOURCES.glob("*.js"):
        text = path.read_text("utf-8")
        found = set(re.findall(r'^(?:import|export) .*?from "([^"]+)";', text, re.MULTILINE))
        assert all(name.startswith("./") and (SOURCES / name).is_file() for name in found), path
        assert not re.search(r"\beval\(|\bnew Function\b|innerHTML", text), path


def test_the_types_accept_the_calls_of_users(tmp_path):
    compiler = PACKAGE / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("needs npm install in runtime/web")
    subprocess.run([compiler, "-p", PACKAGE, "--outDir", tmp_path / "types"], check=True)
    shutil.copy(Path(__file__).with_name("calls.mts"), tmp_path)
    settings = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "nodenext",
        "lib": ["es2022", "dom"],
        "paths": {"textgate": ["./types/index.d.ts"]},
    }
    document = {"compilerOptions": settings, "files": ["calls.mts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run([compiler, "-p", tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_package_that_npm_would_publish(tmp_path):
    npm = shutil.which("npm")
    if npm is None or not (PACKAGE / "node_modules" / "typescript").is_dir():
        pytest.skip("needs npm install in runtime/web")
    modules = shutil.ignore_patterns("node_modules")
    folder = shutil.copytree(PACKAGE, tmp_path / "a" / "b" / "web", ignore=modules)
    (folder / "node_modules").symlink_to(PACKAGE / "node_modules")
    shutil.copy(ROOT / "LICENSE", tmp_path / "a" / "LICENSE")
    done = subprocess.run(
        [npm, "pack", "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    (packed,) = json.loads(done.stdout[done.stdout.index("[\n") :])
    names = {file["path"] for file in packed["files"]}
    assert {
        "README.md",
        "LICENSE",
        "package.json",
        "src/index.js",
        "src/engine.wasm",
        "types/index.d.ts",
    } <= names
    assert all(
        name.startswith(("src/", "types/"))
        for name in names - {"README.md", "LICENSE", "package.json"}
    )
    assert packed["unpackedSize"] < 500_000
