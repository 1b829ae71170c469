# gpu_check_script.sh SCRIPT PROGRAM LIBRARY FOLDER: all of tools/gpu-check but its build, on an emulated device, beside stand-ins for what is not here: every line
# of it has run before the one call on a real device. Once more with a library that is none: it says so, and has an end. Its times mean nothing.
here=$(cd "$(dirname "$0")" && pwd)
models=${PAWL_TEST_DATA:-}/models
if [ ! -r "$models/reference.json" ]; then
    echo "skipped: no model in $models (PAWL_TEST_DATA)"
    exit 77
fi
out=$4/out
rm -rf "$4"
mkdir -p "$out" || exit 1
export PAWL_GPU_PROGRAM="$2" PAWL_GPU_SIZE=tiny PAWL_GPU_SECONDS=3000 PAWL_GPU_BUILD="$4/build" OUT="$out"
export PATH="$here/stand_ins:$PATH" PYTHONPATH="$here/stand_ins"
PAWL_GPU_LIBRARY=$4/none.so "$1" "$models" >"$4/none.log" 2>&1
[ $? -eq 77 ] || { tail -30 "$4/none.log"; echo "without a library it did not end with 77"; exit 1; }
PAWL_GPU_LIBRARY=$3 "$1" "$models" || { echo "it failed"; exit 1; }
for line in "check layers *ok" "check encoder *ok" "check search *ok" "check processor *ok" "compute-sanitizer memcheck *clean" "compute-sanitizer initcheck *clean" \
    "other engines *measured" "^goal .*kernels alone" "^goal .*one short text" "^goal .*end to end, text" "^goal .*search" "sentence-transformers fp16, batch 1024" \
    "torch SDPA fp16, compiled"; do
    grep -qE -- "$line" "$out/gpu-check.log" || { echo "no line of: $line"; exit 1; }
done
! grep -E "NOT MEASURED|not measured|FAILED" "$out/gpu-check.log"
