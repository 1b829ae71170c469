# gpu_check_emulated.sh PROGRAM LIBRARY: gpu_check at its smallest on an emulated device, so that every line of it has run before a real one is there. Its times
# mean nothing.
models=${PAWL_TEST_DATA:-}/models
if [ ! -r "$models/reference.json" ]; then
    echo "skipped: no model in $models (PAWL_TEST_DATA)"
    exit 77
fi
exec "$1" "$models/all-MiniLM-L6-v2" "$models/reference.json" "$2" tiny
