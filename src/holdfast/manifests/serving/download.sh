# Brings a model's files from a bucket and verifies every one of them.
# SOURCE: s3://bucket/prefix with a file SHA256SUMS; SHA256: of that file; DESTINATION: a folder; ARTIFACTS: of all
# folders neuron/*, which hold compiled artifacts, the one to bring. Arguments: patterns of the files that are wanted.
set -euo pipefail
cd "$DESTINATION"
aws s3 cp --only-show-errors "$SOURCE/SHA256SUMS" SHA256SUMS
echo "$SHA256  SHA256SUMS" | sha256sum --check --strict --quiet
: > .wanted
while read -r sum name || [[ -n "$sum" ]]; do
  name="${name#\*}"
  if [[ "$name" == neuron/* ]]; then
    [[ "$name" == "$ARTIFACTS"/* ]] && echo "$sum  $name" >> .wanted
    continue
  fi
  for pattern in "$@"; do
    if [[ "$name" == $pattern ]]; then
      echo "$sum  $name" >> .wanted
      break
    fi
  done
done < SHA256SUMS
[[ -s .wanted ]] || { echo "SHA256SUMS lists no file like ${*:-$ARTIFACTS/*}" >&2; exit 1; }
# A container that starts again has its files already.
sha256sum --check --strict --status .wanted 2> /dev/null && exit 0
while read -r _ name; do
  aws s3 cp --only-show-errors "$SOURCE/$name" "$name" &
  while (( $(jobs -rp | wc -l) >= 4 )); do wait -n; done
done < .wanted
wait
sha256sum --check --strict --quiet .wanted
