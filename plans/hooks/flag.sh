#!/bin/sh
# A flag of the application as a file, for trying out a cutover: hooks of plans/online-learning.yaml.
#
#     flag.sh source|target stop|write
#
# The file ${FLAGS:-flags}/SERVICE.SIDE contains `stop` or `write`. The application would read it before each write.
set -eu

side=$1
flag=$2
folder=${FLAGS:-flags}
mkdir -p "$folder"
file="$folder/$DYNASPLIT_SERVICE.$side"
# A reader sees the old flag or the new one, and never an empty file.
printf '%s\n' "$flag" >"$file.new"
mv "$file.new" "$file"
echo "$DYNASPLIT_SERVICE: writers of the $side: $flag"
