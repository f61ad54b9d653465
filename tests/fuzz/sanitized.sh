#!/usr/bin/env bash
# The native engine under AddressSanitizer and UBSan: its own tests, and wrong bundles.
#
#     bash tests/fuzz/sanitized.sh .venv/bin CASES
#
# Needs GCC with its sanitizers, on Linux. The checkout is left as it is: the sanitized library lies
# in a copy of the package, which comes first on the path.
set -euo pipefail
bin=$(cd "$1" && pwd) cases=$2
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r runtime "$work/textgate"
# Forced inlining of large functions takes the sanitizers minutes.
gcc -shared -fPIC -std=c11 -O1 -g -ffp-contract=off -fvisibility=hidden -DINLINE='static inline' \
  -fsanitize=address,undefined -fno-sanitize-recover=all runtime/native/*.c -lm \
  -o "$work/textgate/native/libtextgate_engine.1.so"
export PYTHONPATH=$work TEXTGATE_ENGINE=native
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
# The sanitizers' own library has to be loaded before Python.
sanitized() { LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so) "$@"; }
sanitized "$bin/python" - << 'EOF'
import os
from pathlib import Path

import textgate.native.library

textgate.native.library.library()
assert "libasan" in Path("/proc/self/maps").read_text()
assert Path(textgate.native.library.__file__).parents[2] == Path(os.environ["PYTHONPATH"])
EOF
sanitized "$bin/pytest" -q -p no:cacheprovider tests/runtime/native -k 'bits or damaged or range or padding'
sanitized "$bin/python" tests/fuzz/trials.py --cases "$cases" --workers 1 --out "$work/fuzz.json"
