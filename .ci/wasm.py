"""The native engine as WebAssembly, compiled with the Zig compiler of PyPI.

    python -m pip install 'ziglang==VERSION'
    python .ci/wasm.py

Writes ``runtime/web/src/engine.wasm``, which is in the repository so that nobody needs a compiler to
use it. The module asks for nothing from its host. Its last section holds the checksum of the sources,
with which ``tests/web`` finds out that it is older than they are; the same compiler gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NATIVE = ROOT / "runtime" / "native"
MODULE = ROOT / "runtime" / "web" / "src" / "engine.wasm"
SECTION = b"textgate.sources"
FLAGS = (
    "-target wasm32-wasi -mexec-model=reactor -std=c11 -O2 -msimd128 -mbulk-memory -ffp-contract=off"
    " -fvisibility=hidden -g0 -s -Wl,--export=malloc -Wl,--export=free -Wl,--export-dynamic"
    " -Wl,-z,stack-size=65536"
).split()


def sources_checksum() -> str:
    """Return the checksum of everything that is compiled."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted([*NATIVE.glob("*.c"), *NATIVE.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def main() -> None:
    """Compile the module, and refuse one that lacks a function or wants one."""
    sources = [str(path) for path in sorted(NATIVE.glob("*.c"))]
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *sources, "-o", str(MODULE)]
    subprocess.run(command, check=True)  # noqa: S603
    module = MODULE.read_bytes()
    header = (NATIVE / "textgate_engine.h").read_text(encoding="utf-8")
    functions = re.findall(r"^TG_API .*?\b(tg_\w+)\(", header, re.MULTILINE)
    missing = [name for name in functions if name.encode() not in module]
    if missing or not functions or b"wasi" in module:
        sys.exit(f"{MODULE}: lacks {missing}, or imports something")
    content = bytes([len(SECTION)]) + SECTION + sources_checksum().encode()
    MODULE.write_bytes(module + bytes([0, len(content)]) + content)  # a custom section, below 128 bytes
    sys.stdout.write(f"{MODULE}: {MODULE.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
