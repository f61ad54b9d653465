# The benchmarks. Each writes benchmarks/results/NAME.json, with the machine and the versions in it;
# `make tables` writes the pages' tables and the pictures from these files. Run them on a machine
# that does nothing else.

PYTHON ?= .venv/bin/python
PEERS ?= runs/peers-venv
DATA ?= ../shared/data
BUNDLES ?=
BASE ?= HEAD~1

export OMP_NUM_THREADS = 1

.PHONY: benchmarks quick-benchmarks quantization streaming native memory-of-cells latency-peers \
	accuracy production pareto guard tables check-tables wheels web modules
.NOTPARALLEL:

benchmarks: accuracy production latency-peers memory-of-cells pareto
benchmarks: quantization streaming tables

quick-benchmarks: $(PEERS)/done
	$(PYTHON) benchmarks/memory_of_cells.py --quick
	$(PEERS)/bin/python benchmarks/latency_peers.py --quick --only torch

latency-peers: $(PEERS)/done
	$(PEERS)/bin/python benchmarks/latency_peers.py $(foreach bundle,$(BUNDLES),-m $(bundle))

memory-of-cells:
	$(PYTHON) benchmarks/memory_of_cells.py

accuracy:
	$(PYTHON) benchmarks/accuracy.py $(if $(wildcard $(DATA)),--data $(DATA))

production:
	$(PYTHON) benchmarks/startup.py
	$(PYTHON) benchmarks/overhead.py
	$(PYTHON) benchmarks/throughput.py
	$(PYTHON) benchmarks/soak.py

pareto:
	$(PYTHON) benchmarks/pareto.py $(if $(wildcard $(DATA)),--data $(DATA) --set sst2)

quantization:
	$(PYTHON) benchmarks/quantization.py $(if $(wildcard $(DATA)),--data $(DATA))

streaming:
	$(PYTHON) benchmarks/streaming.py

native:
	$(PYTHON) benchmarks/native.py
	$(if $(wildcard $(DATA)),$(PYTHON) benchmarks/native.py --data $(DATA))

# Needs chromium, and for the modules ziglang in the environment of $(PYTHON).
web:
	$(PYTHON) benchmarks/web.py

modules:
	$(PYTHON) .ci/wasm.py

# Needs build, wheel and ziglang in the environment of $(PYTHON).
wheels:
	$(PYTHON) .ci/wheels.py dist

# make guard BASE=HEAD~5
guard:
	$(PYTHON) benchmarks/guard.py $(BASE)

tables:
	$(PYTHON) benchmarks/readme.py

check-tables:
	$(PYTHON) benchmarks/readme.py --check

# An environment of its own: the peers bring gigabytes.
$(PEERS)/done: benchmarks/requirements.txt
	python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet -c constraints.txt -r benchmarks/requirements.txt -e '.[train]'
	touch $@
