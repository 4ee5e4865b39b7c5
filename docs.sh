#!/usr/bin/env bash
# Builds the documentation: guides, tutorial and reference, with a search.
#
#   ./docs.sh
#
# Open docs/_build/index.html in a browser; no network is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/environment.sh

prepare_environment requirements.txt requirements-docs.txt
"$venv_python" -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build
echo "The documentation: $PWD/docs/_build/index.html"
