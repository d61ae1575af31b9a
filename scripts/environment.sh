# Sourced by the other scripts: finds a Python, makes .venv beside pyproject.toml and installs simgen into it.
# Usage: source scripts/environment.sh; prepare_environment '.' or prepare_environment '.[dev]'

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# 3.11 and 3.10 come first: PyBullet has wheels for them, while later versions compile it (a C++ compiler, 10 minutes).
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.10 python3 python3.12 python3.13 python; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "No Python 3.10 to 3.13 with venv was found; install one (Debian: apt-get install python3 python3-venv)" \
        "or name it with PYTHON=/path/to/python." >&2
    return 1
}

prepare_environment() {
    local wanted=$1 python stamp
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
        python=$(find_python) || exit 1
        say "Making the environment .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
    fi
    # Installed again only when what is to be installed has changed.
    stamp=$(cat pyproject.toml scripts/constraints.txt <(echo "$wanted") | cksum)
    if [ "$(cat ".venv/installed-$(echo "$wanted" | cksum | cut -d' ' -f1)" 2>/dev/null)" != "$stamp" ]; then
        say "Installing simgen and what it needs into .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -c scripts/constraints.txt -e "$wanted"
        echo "$stamp" >".venv/installed-$(echo "$wanted" | cksum | cut -d' ' -f1)"
    fi
}
