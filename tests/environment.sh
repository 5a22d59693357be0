# shellcheck shell=bash
# Sourced by the install scripts of tests that run in an environment of their own.
python=${PYTHON:-python3}

# fingerprint FILE…: what an installation from these files depends on, as a name for a cache.
fingerprint() {
  "$python" - "${BASH_SOURCE[0]}" "$@" <<'PY'
import hashlib, pathlib, sys
parts = [sys.version, sys.base_prefix, *(pathlib.Path(name).read_text("utf-8") for name in sys.argv[1:])]
print(hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16])
PY
}

# begin FOLDER FINGERPRINT: an empty virtual environment there. Exits where the whole installation is there already.
begin() {
  venv=$1 made_from=$2
  # Two runs that share a cached folder take turns.
  mkdir -p "$venv"
  if command -v flock >/dev/null; then
    exec 9>"$venv.lock"
    flock 9
  fi
  if [ -f "$venv/installed" ] && [ "$(cat "$venv/installed")" = "$made_from" ]; then
    exit
  fi
  "$python" -m venv --clear "$venv"
}

pip() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

# finish WHAT: says that it is whole.
finish() {
  echo "$made_from" >"$venv/installed"
  echo "$0: $1 installed in $SECONDS s"
}
