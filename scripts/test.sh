#!/usr/bin/env bash
# Everything that is checked: makes .venv, installs simgen with its development tools, then lint, format, types, tests.
# Arguments go to pytest: bash scripts/test.sh -k shards
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

prepare_environment '.[dev,learn]'
export PATH="$PWD/.venv/bin:$PATH"

say "Lint and format (ruff)"
ruff check .
ruff format --check .

say "Types (mypy)"
mypy

say "Tests (pytest, a process for each core, at most four)"
pytest -n auto --maxprocesses 4 --dist loadfile "$@"
