# wordpiece_oracle.sh PROGRAM [COUNT [SEED]]: wordpiece_oracle.cjs with the model of PAWL_TEST_DATA, under npm_rig.py.
set -eu
model=${PAWL_TEST_DATA:-}/models/all-MiniLM-L6-v2
if [ ! -r "$model/tokenizer.json" ]; then
    echo "skipped: no model in ${PAWL_TEST_DATA:-}/models (PAWL_TEST_DATA)"
    exit 77
fi
exec "$NPM_NODE" "$(dirname "$0")/wordpiece_oracle.cjs" "$1" "$model" "${2:-4000}" "${3:-1}"
