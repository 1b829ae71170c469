// embed_onnx.cjs EMBED_TIME MODEL MODEL.onnx [THREADS]: the encoder beside ONNX Runtime, same model, same machine, by turns. Prints a table; judges nothing.
//
//   npm install --ignore-scripts onnxruntime-node@1.30.0          (in any folder; NPM_MODULES=that folder/node_modules)
//   python3 tests/bench/embed_onnx.py MODEL model.onnx
//
// A row's figure is the best of all rounds, so that what others take of the machine counts for neither. Mixed lengths: for ONNX Runtime sorted, in
// batches of 32, padded to the longest of each.
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const ort = require(path.join(process.env.NPM_MODULES, 'onnxruntime-node'));

const [program, model, onnx, threadsText] = process.argv.slice(2);
const threads = Number(threadsText || 2);
const TURNS = 3;
const SECONDS = 1.5;
const shapes = { '1x16': [1, 16, 16], '1x128': [1, 128, 128], '32x32': [32, 32, 32], '32x128': [32, 128, 128], mixed: [64, 8, 128] };

function lengths([texts, shortest, longest]) { // as embed_time.c
  return Array.from({ length: texts }, (_, i) => shortest + Math.floor(((longest - shortest) * ((i * 7) % texts)) / texts));
}
function batches(lens) {
  const sorted = [...lens].sort((a, b) => a - b);
  const out = [];
  for (let at = 0; at < sorted.length; at += 32) {
    const some = sorted.slice(at, at + 32);
    const width = Math.max(...some);
    const ids = new BigInt64Array(some.length * width), mask = new BigInt64Array(some.length * width);
    some.forEach((len, row) => {
      for (let k = 0; k < len; k++) {
        ids[row * width + k] = BigInt(1000 + ((row * 131 + k * 7919) % 20000));
        mask[row * width + k] = 1n;
      }
    });
    out.push({ ids: new ort.Tensor('int64', ids, [some.length, width]), mask: new ort.Tensor('int64', mask, [some.length, width]) });
  }
  return out;
}
async function theirs(session, shape) {
  const feeds = batches(lengths(shape));
  let best = Infinity;
  for (const begun = process.hrtime.bigint(); Number(process.hrtime.bigint() - begun) < SECONDS * 1e9;) {
    const at = process.hrtime.bigint();
    for (const feed of feeds) await session.run(feed);
    best = Math.min(best, Number(process.hrtime.bigint() - at) / 1e6);
  }
  return best;
}
function ours(name) {
  const done = spawnSync(program, [model, String(threads), 'best', name], { encoding: 'utf8' });
  const found = /([\d.]+) ms/.exec(done.stdout);
  if (done.status !== 0 || !found) throw new Error(`${program}: ${done.stderr}`);
  return Number(found[1]);
}
async function main() {
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: threads, graphOptimizationLevel: 'all' });
  console.log(`${threads} threads, best of ${TURNS} turns of ${SECONDS} s each`);
  for (const [name, shape] of Object.entries(shapes)) {
    let mine = Infinity, other = Infinity;
    for (let turn = 0; turn < TURNS; turn++) {
      other = Math.min(other, await theirs(session, shape));
      mine = Math.min(mine, ours(name));
    }
    console.log(`${name.padEnd(8)} ONNX Runtime ${other.toFixed(2).padStart(9)} ms, pawl ${mine.toFixed(2).padStart(9)} ms, ${(other / mine).toFixed(2)} times as fast, ` +
      `${((shape[0] / mine) * 1e3).toFixed(1)} texts/s`);
  }
}
main().catch((e) => { console.error(e); process.exitCode = 1; });
