#!/usr/bin/env bash
# Installs the real client (coqui-tts, CPU only) in a virtual environment of its own, unless it is there already:
#     tests/coqui/install.sh FOLDER
#     tests/coqui/install.sh --fingerprint     prints what an installation depends on, as a name for a cache
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../environment.sh"

made_from=$(fingerprint "$here/install.sh" "$here/requirements.txt")
if [ "${1:?a folder, or --fingerprint}" = --fingerprint ]; then
  echo "$made_from"
  exit
fi

# torchcodec, through which the client reads audio, loads ffmpeg's libraries.
if ! command -v ffmpeg >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests/coqui/install.sh: the client reads audio with ffmpeg, which is missing here." >&2
    echo "Install it (Debian and Ubuntu: sudo apt-get install ffmpeg) and try again." >&2
    exit 1
  fi
  echo "tests/coqui/install.sh: installing ffmpeg"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends ffmpeg >/dev/null
fi

begin "$1" "$made_from"
pip -r "$here/requirements.txt"
# This torchaudio is linked to CUDA; without its libraries it runs as pure Python.
pip --no-deps torchaudio==2.11.0
rm -f "$venv"/lib/python3*/site-packages/torchaudio/lib/*.so
pip --no-deps torchcodec==0.12.0
finish coqui-tts
