#!/usr/bin/env bash
# step.sh VENV TITLE COMMAND …: a step of make setup. Shows its title, how long it took and what pip
# downloaded, by the log that pip writes, and adds all three to VENV/setup.tsv, which the demo shows.
# Where the log says that the connection broke, the command runs again after each of RETRY_PAUSES,
# in seconds: an index that refuses to resume a file often sends it whole a little later.
set -euo pipefail
venv=$1 title=$2 log=$1/pip.log
shift 2
echo "$title"
rm -f "$log"
SECONDS=0
pauses=(${RETRY_PAUSES-10 30 90})
broken='connection (interrupted|broken|reset|aborted)|incomplete-download|timed out|IncompleteRead'
trap 'exit 130' INT
until "$@"; do
    status=$?
    if [[ ${#pauses[@]} -eq 0 ]] || ! grep -qsiE "$broken" "$log"; then exit $status; fi
    echo "      the connection broke; the step runs again in ${pauses[0]} seconds"
    sleep "${pauses[0]}"
    pauses=("${pauses[@]:1}")
done
touch "$log"
awk -v title="$title" -v seconds="$SECONDS" -v table="$venv/setup.tsv" '
/ Downloading .* \([0-9.]+ [kMG]B\)$/ {
    unit = substr($NF, 1, 1)
    megabytes += substr($(NF - 1), 2) * (unit == "k" ? 0.001 : unit == "G" ? 1000 : 1)
}
END {
    printf "      %d:%02d minutes, %.0f MB downloaded\n", seconds / 60, seconds % 60, megabytes
    printf "%s\t%d\t%.0f\n", title, seconds, megabytes >> table
}' "$log"
