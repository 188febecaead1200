# Every target sets up .venv first, once. Python 3.11 or later; on Debian and Ubuntu nothing
# else is needed. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo page wheel test check fmt fmt-check lint types imports bench fuzz portability vectors clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is missing or older than 3.11; choose one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  v=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  if [ "$$(id -u)" = 0 ]; then apt-get update && apt-get install -y python$$v-venv; \
	  else echo "Python cannot make environments yet; run: sudo apt-get install python$$v-venv" >&2; exit 1; fi; }
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -c .ci/constraints.txt -e '.[all,bench,dev]'
	@touch $@

demo: $(READY) ## Encode, inspect and decode the example scene; results in out/
	@mkdir -p out
	$(BIN)/gscodec encode examples/mic-small/scene.ply -o out/mic-small.gsz --overwrite
	$(BIN)/gscodec inspect out/mic-small.gsz
	$(BIN)/gscodec decode out/mic-small.gsz -o out/mic-small.ply --overwrite
	@echo
	@wc -c examples/mic-small/scene.ply out/mic-small.gsz out/mic-small.ply | head -3
	@echo "The coded scene is out/mic-small.gsz; out/mic-small.ply opens in any 3DGS viewer."

PAGE := src/gscodec/page
page: $(PAGE)/viewer.js ## Fetch the viewer of `gscodec view` from npm, at the version that is pinned

$(PAGE)/viewer.js: $(PAGE)/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing; on Debian and Ubuntu: sudo apt-get install npm" >&2; exit 1; }
	@mkdir -p build/page
	cp $(PAGE)/package.json $(PAGE)/package-lock.json build/page/
	npm ci --prefix build/page --ignore-scripts --no-audit --no-fund
	cp build/page/node_modules/@playcanvas/supersplat-viewer/public/index.css $(PAGE)/viewer.css
	cp build/page/node_modules/@playcanvas/supersplat-viewer/LICENSE $(PAGE)/viewer.LICENSE.txt
	cp build/page/node_modules/@playcanvas/supersplat-viewer/public/index.js $@

wheel: $(READY) page ## Build dist/gscodec-*.whl, with the viewer in it
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@$(BIN)/python -m zipfile -l dist/gscodec-*.whl | grep page/viewer.js >/dev/null
	@ls -l dist

test: $(READY) ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: fmt-check lint types imports ## Format, lint, types and layers, without changing a file

fmt: $(READY) ## Format the code
	$(BIN)/ruff format .

fmt-check: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY) ## Ruff, all rules
	$(BIN)/ruff check .

types: $(READY) ## mypy --strict
	$(BIN)/mypy

imports: $(READY) ## Who may import whom
	$(BIN)/lint-imports

bench: $(READY) ## Measure against SPZ and xz on ../shared/scenes -> docs/benchmarks.md
	$(BIN)/python tests/benchmarks/geometry.py
	$(BIN)/python tests/benchmarks/scale.py
	$(BIN)/python tests/benchmarks/raster.py
	$(BIN)/python tests/benchmarks/yardstick.py
	$(BIN)/python tests/benchmarks/bench.py
	$(BIN)/python tests/benchmarks/quality.py
	$(BIN)/python tests/benchmarks/picture.py
	$(BIN)/python tests/benchmarks/ablation.py
	$(BIN)/python tests/benchmarks/high.py
	$(BIN)/python tests/benchmarks/scaffold.py

fuzz: $(READY) ## Throw damaged and hostile files at the decoder
	$(BIN)/python tests/fuzz.py --count 20000 --seed 0

portability: $(READY) ## Decode the vectors under other releases of numpy and without constriction
	$(BIN)/python tests/portability.py

vectors: $(READY) ## Write test vectors for new cases; existing ones never change
	$(BIN)/python tests/make_vectors.py

clean: ## Remove everything that make has made
	rm -rf .venv out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
