#!/usr/bin/env bash
# Installs the tools around recipes (pre-commit, yaml-language-server and those that know GitHub's and GitLab's files) in
# an environment of their own, unless they are there already:
#     tests/review/install.sh FOLDER
#     tests/review/install.sh --fingerprint     prints what an installation depends on, as a name for a cache
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../environment.sh"

made_from=$(fingerprint "$here"/{install.sh,requirements.txt,node-requirements.txt,package.json,package-lock.json})
if [ "${1:?a folder, or --fingerprint}" = --fingerprint ]; then
  echo "$made_from"
  exit
fi

begin "$1" "$made_from"
pip -r "$here/requirements.txt"

# A machine may lack node, or have one that is too old for the language server.
PATH=$venv/bin:$PATH
if ! command -v npm >/dev/null ||
  ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 13) ? 0 : 1)'; then
  pip -r "$here/node-requirements.txt"
  hash -r
fi
cp "$here/package.json" "$here/package-lock.json" "$venv"
npm ci --prefix "$venv" --silent --no-fund --no-audit --ignore-scripts
finish "pre-commit and yaml-language-server"
