#!/usr/bin/env bash
# From nothing to a labelled dataset and a picture of it: makes .venv, installs simgen, renders the tabletop scene with
# what pip installs (no assets needed) into demo/, verifies it, replays one frame and draws a contact sheet.
# Run it again: what is installed and rendered already is kept. With assets: SIMGEN_ASSETS=/path/to/assets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

prepare_environment .
export PATH="$PWD/.venv/bin:$PATH"
out=${1:-demo}

say "Rendering 100 labelled frames of the scene 'tabletop' into $out/"
simgen render scene=tabletop out="$out" frames=100 seed=0

say "Checking every byte and label, and computing frame 42 again"
simgen verify "$out"
simgen replay "$out" --frame 42

say "Drawing a contact sheet"
simgen preview "$out" --frames 8
simgen info "$out"

say "Done. Look at $out/preview.png; the dataset is $out/manifest.json and $out/shards/."
