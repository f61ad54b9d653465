"""The native engine as WebAssembly, compiled with the Zig compiler of PyPI.

    python -m pip install ziglang==0.17.1
    python .ci/wasm.py

Writes two modules into ``runtime/web/src``, which are in the repository so that nobody needs a
compiler to use them: one with relaxed SIMD, whose multiply-adds are those of the processor, and
one without. They ask for nothing from their host and give the same results. Their last section
holds the checksum of the sources, with which ``tests/web`` finds out that it is time to compile
again.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NATIVE = ROOT / "runtime" / "native"
MODULES = ROOT / "runtime" / "web" / "src"
SOURCES = (
    *("engine.c", "engine.h", "forward.h", "forward_simd128.c"),
    "lanes_simd128.h",
    "textgate_engine.h",
)
SECTION = b"textgate.sources"
FLAGS = """
-target wasm32-wasi -mexec-model=reactor -std=c11 -O2 -msimd128 -mbulk-memory -ffp-contract=off
-fvisibility=hidden -g0 -s -Wl,--export=malloc -Wl,--export=free -Wl,--export-dynamic
-Wl,-z,stack-size=65536
"""
EXTRA = {"engine.wasm": [], "engine_fused.wasm": ["-mrelaxed-simd"]}


def sources_checksum() -> str:
    """Return the checksum of everything that is compiled."""
    digest = hashlib.sha256(" ".join(FLAGS.split()).encode())
    for name in SOURCES:
        digest.update(name.encode() + b"\0" + (NATIVE / name).read_bytes() + b"\0")
    return digest.hexdigest()


def main() -> None:
    """Compile the modules, and refuse one that lacks a function or wants one."""
    header = (NATIVE / "textgate_engine.h").read_text(encoding="utf-8")
    functions = re.findall(r"^TG_API .*?\b(tg_\w+)\(", header, re.MULTILINE)
    sources = [str(NATIVE / name) for name in SOURCES if name.endswith(".c")]
    for name, extra in EXTRA.items():
        path = MODULES / name
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            *FLAGS.split(),
            *extra,
            *sources,
            "-o",
            str(path),
        ]
        subprocess.run(command, check=True)  # noqa: S603
        path.chmod(0o644)
        module = path.read_bytes()
        missing = [function for function in functions if function.encode() not in module]
        if missing or not functions or b"wasi" in module:
            sys.exit(f"{path}: lacks {missing}, or imports something")
        content = bytes([len(SECTION)]) + SECTION + sources_checksum().encode()
        module += bytes([0, len(content)]) + content  # a custom section, below 128 bytes
        path.write_bytes(module)
        sys.stdout.write(f"{path}: {len(module):,} bytes\n")


if __name__ == "__main__":
    main()
