"""Wheels of every platform, the native engine cross-compiled with the Zig compiler of PyPI.

    python -m pip install build wheel ziglang
    python .ci/wheels.py dist

One wheel of a platform serves every version of Python: ctypes loads the engine. Each library is
checked for the format of its platform and the functions of ``textgate_engine.h``. Nothing is run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NATIVE = ROOT / "runtime" / "native"
SHARED = "libtextgate_engine.1.so"
ELF, MACH, PE = b"\x7fELF\x02\x01", b"\xcf\xfa\xed\xfe", b"MZ"
# Zig's target: the wheel's platform, the library's name as in library.py, the begin of the file.
TARGETS = {
    "x86_64-linux-gnu.2.17": ("manylinux_2_17_x86_64.manylinux2014_x86_64", SHARED, ELF),
    "aarch64-linux-gnu.2.17": ("manylinux_2_17_aarch64.manylinux2014_aarch64", SHARED, ELF),
    "x86_64-linux-musl": ("musllinux_1_2_x86_64", SHARED, ELF),
    "aarch64-linux-musl": ("musllinux_1_2_aarch64", SHARED, ELF),
    "aarch64-macos.11.0": ("macosx_11_0_arm64", "libtextgate_engine.dylib", MACH),
    "x86_64-windows-gnu": ("win_amd64", "textgate_engine.dll", PE),
}
# As in setup.py.
FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-g0", "-s", "-shared"]


def main() -> None:
    """Build into the folder that the argument names."""
    output = Path(sys.argv[1]).absolute()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        without = {**os.environ, "CC": "no-compiler"}  # the wheel without the engine
        python("build", "--quiet", "--wheel", "--outdir", str(work), str(ROOT), env=without)
        (plain,) = work.glob("*-py3-none-any.whl")
        python("wheel", "unpack", "--dest", str(work), str(plain))
        (package,) = work.glob("textgate-*/")
        for target, (platform, name, begin) in TARGETS.items():
            library = package / "textgate" / "native" / name
            compile_engine(target, library)
            check(library.read_bytes(), begin, target)
            python("wheel", "pack", "--dest-dir", str(work), str(package))
            python("wheel", "tags", "--remove", f"--platform-tag={platform}", str(plain))
            (wheel,) = work.glob("*.whl")  # with the tag, in place of the one without
            sys.stdout.write(f"{wheel.rename(output / wheel.name)}\n")
            library.unlink()


def python(*arguments: str, env: dict[str, str] | None = None) -> None:
    """Run a module of Python."""
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, "-m", *arguments], check=True, env=env, stdout=quiet)  # noqa: S603


def compile_engine(target: str, library: Path) -> None:
    """Compile the engine for a target."""
    flags = [*FLAGS, *([] if "windows" in target else ["-fPIC", "-lm"])]
    sources = [str(path) for path in sorted(NATIVE.glob("*.c"))]
    python("ziglang", "cc", "-target", target, *sources, *flags, "-o", str(library))
    for suffix in ("lib", "pdb"):  # for linkers and debuggers on Windows
        for file in library.parent.glob(f"*.{suffix}"):
            file.unlink()


def check(library: bytes, begin: bytes, target: str) -> None:
    """Refuse a library of another format, or without a function of the header."""
    header = (NATIVE / "textgate_engine.h").read_text(encoding="utf-8")
    functions = re.findall(r"^TG_API .*?\b(tg_\w+)\(", header, re.MULTILINE)
    missing = [name for name in functions if name.encode() not in library]
    if not library.startswith(begin) or missing or not functions:
        sys.exit(f"{target}: {library[:8]!r} lacks {missing}")


if __name__ == "__main__":
    main()
