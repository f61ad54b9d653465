"""The distribution contains every module and data file, and the dependencies stay few."""

from __future__ import annotations

import ast
import sys
import tomllib
import zlib
from pathlib import Path

import pytest

import textgate

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "textgate": "runtime",
    "textgate.train": "train",
    "textgate.export": "export",
    "textgate.sklearn": "estimator",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
BUILT = {".so", ".dylib", ".dll"}  # the native engine, which setup.py adds to the wheel
NOT_OURS = {"__pycache__", "node_modules"}


def module_name(path: Path) -> str:
    """The name by which a file of one of the folders is imported."""
    folder, *inside = path.relative_to(ROOT).with_suffix("").parts
    package = next(name for name, place in FOLDERS.items() if place == folder)
    return ".".join([package, *(part for part in inside if part != "__init__")])


MODULES = {
    module_name(path): path
    for folder in FOLDERS.values()
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, anywhere in it, including those for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_listed_packages_are_those_in_the_folders():
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert packages == set(SETUPTOOLS["packages"])
    assert SETUPTOOLS["package-dir"] == FOLDERS


def test_every_folder_with_modules_is_a_package():
    for path in MODULES.values():
        assert (path.parent / "__init__.py").is_file(), path.parent


def test_the_package_is_marked_as_typed():
    assert (ROOT / "runtime" / "py.typed").is_file()
    assert "py.typed" in SETUPTOOLS["package-data"]["textgate"]


def test_every_data_file_is_listed():
    """The wheel lacks files that are neither Python nor listed."""
    listed = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in (ROOT / FOLDERS.get(package, "runtime")).glob(pattern)
    }
    others = {
        path
        for folder in FOLDERS.values()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in {".py", *BUILT} and NOT_OURS.isdisjoint(path.parts)
    }
    assert others == listed


def test_the_wheel_has_at_most_10_megabytes():
    """A wheel compresses its files one by one, as here."""
    files = [path for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*")]
    shipped = [path for path in files if path.is_file() and NOT_OURS.isdisjoint(path.parts)]
    assert sum(len(zlib.compress(path.read_bytes())) for path in shipped) <= 10_000_000


def test_the_version_is_that_of_the_project():
    assert PROJECT["project"]["version"] == textgate.__version__


def test_the_command_runs_the_main_function():
    target, _, function = PROJECT["project"]["scripts"]["textgate"].partition(":")
    assert target in MODULES
    assert function == "main"


FORBIDDEN = {
    # package -> what its modules must not import
    "textgate": ("torch", "onnx", "safetensors", "tqdm", "textgate.train", "textgate.export"),
    "textgate.train": ("onnx", "textgate.export"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_nothing_forbidden(name):
    folder = next(
        package for package in sorted(FOLDERS, reverse=True) if f"{name}.".startswith(f"{package}.")
    )
    for found in imports(MODULES[name]):
        for forbidden in FORBIDDEN.get(folder, ()):
            assert not f"{found}.".startswith(f"{forbidden}."), f"{name} imports {found}"
        top = found.partition(".")[0]
        assert top not in (*FOLDERS.values(), "tests", "benchmarks"), f"{name}: {found}"


WITH_EXTRAS = ("train", "export", "sklearn", "serve", "scale")


def test_the_runtime_imports_only_its_dependencies():
    declared = {"click", "numpy", "onnxruntime", "tokenizers"}
    names = {entry.partition(">")[0] for entry in PROJECT["project"]["dependencies"]}
    assert names == declared
    used = {
        found.partition(".")[0]
        for name, path in MODULES.items()
        if not name.startswith(tuple(f"textgate.{one}" for one in WITH_EXTRAS))
        for found in imports(path)
    }
    assert used - sys.stdlib_module_names - {"textgate", "__future__"} <= declared | {
        "huggingface_hub",
        "matplotlib",
        "pandas",
        "pyarrow",
    }


def test_inspecting_a_run_imports_neither_numpy_nor_onnx_runtime():
    for name in (
        "textgate",
        "textgate.errors",
        "textgate.bundle.architecture",
        "textgate.bundle.run",
    ):
        seen, waiting = set(), [name]
        while waiting:
            module = waiting.pop()
            if module in seen or module not in MODULES:
                continue
            seen.add(module)
            waiting += top_level_imports(MODULES[module])
        heavy = {"numpy", "onnxruntime", "tokenizers"}
        for module in seen:
            found = {item.partition(".")[0] for item in top_level_imports(MODULES[module])}
            assert not found & heavy, f"{name} reaches {module}, which imports {found & heavy}"


def top_level_imports(path: Path) -> list[str]:
    """The modules that a file imports when it is imported."""
    found = []
    waiting = ast.parse(path.read_text(encoding="utf-8")).body
    for node in waiting:
        if isinstance(node, ast.With):
            waiting += node.body
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found
