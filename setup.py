"""Builds the native engine where there is a C compiler; without one, the package does without it.

Everything else is in pyproject.toml. The engine is a plain shared library that ctypes loads, no
extension module: one wheel of a platform serves every version of Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = Path("runtime", "native")
NAMES = {"win32": "textgate_engine.dll", "darwin": "libtextgate_engine.dylib"}
NAME = NAMES.get(sys.platform, "libtextgate_engine.1.so")
ENGINE = Extension(
    "textgate.native.engine",
    sources=[path.as_posix() for path in sorted(FOLDER.glob("*.c"))],
    depends=[path.as_posix() for path in sorted(FOLDER.glob("*.h"))],
    # Contracted to fused multiply-add or not, results would depend on the compiler.
    extra_compile_args=["-std=c11", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-g0"],
    libraries=[] if sys.platform == "win32" else ["m"],
    optional=True,  # a failure is a warning
)


class BuildEngine(build_ext):
    """Gives the library its own name, and exports what its header says."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return where the library lies in the package."""
        return str(Path(*fullname.split(".")[:-1], NAME))

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Return no symbols but those that the sources export."""
        return list(ext.export_symbols)


class TagByPlatform(bdist_wheel):
    """Tags a wheel by its platform alone, or by none if there is no library in it."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags for Python, its binary interface and the platform."""
        build = self.get_finalized_command("build_ext")
        built = Path(build.get_ext_fullpath(ENGINE.name)).exists()
        return "py3", "none", super().get_tag()[2] if built else "any"


setup(ext_modules=[ENGINE], cmdclass={"build_ext": BuildEngine, "bdist_wheel": TagByPlatform})
