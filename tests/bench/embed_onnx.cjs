// embed_onnx.cjs EMBED_TIME MODEL MODEL.onnx [THREADS]: the encoder beside ONNX Runtime, same model, same machine, by turns. Prints a table; judges nothing.
//
//   npm install --ignore-scripts onnxruntime-node@1.30.0          (in any folder; NPM_MODULES=that folder/node_modules)
//   python3 tests/bench/embed_onnx.py MODEL model.onnx
//
// A figure is the best of all rounds, so that what others take of the machine counts for neither; on a busy one, CPU time with one thread says most. Mixed lengths: for ONNX Runtime sorted, in
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
const cpuMs = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1e3; };
async function theirs(session, shape) {
  const feeds = batches(lengths(shape));
  const best = { wall: Infinity, cpu: Infinity };
  for (const begun = process.hrtime.bigint(); Number(process.hrtime.bigint() - begun) < SECONDS * 1e9;) {
    const at = process.hrtime.bigint(), cpu = cpuMs();
    for (const feed of feeds) await session.run(feed);
    best.cpu = Math.min(best.cpu, cpuMs() - cpu);
    best.wall = Math.min(best.wall, Number(process.hrtime.bigint() - at) / 1e6);
  }
  return best;
}
function ours(name) {
  const done = spawnSync(program, [model, String(threads), 'best', name], { encoding: 'utf8' });
  const found = /([\d.]+) ms +([\d.]+) CPU-ms/.exec(done.stdout);
  if (done.status !== 0 || !found) throw new Error(`${program}: ${done.stderr}`);
  return { wall: Number(found[1]), cpu: Number(found[2]) };
}
const less = (a, b) => ({ wall: Math.min(a.wall, b.wall), cpu: Math.min(a.cpu, b.cpu) });
async function main() {
  const session = await ort.InferenceSession.create(onnx, {
    intraOpNumThreads: threads, graphOptimizationLevel: 'all', logSeverityLevel: 3, extra: { session: { intra_op: { allow_spinning: '0' } } } });
  console.log(`${threads} threads, best of ${TURNS} turns; milliseconds, and how many times as fast pawl is`);
  console.log('texts    ONNX Runtime  CPU time     pawl  CPU time    by clock  by CPU time');
  const n = (x, width) => x.toFixed(2).padStart(width);
  for (const [name, shape] of Object.entries(shapes)) {
    let mine = { wall: Infinity, cpu: Infinity }, other = mine;
    for (let turn = 0; turn < TURNS; turn++) {
      other = less(other, await theirs(session, shape));
      mine = less(mine, ours(name));
    }
    console.log(`${name.padEnd(8)} ${n(other.wall, 12)} ${n(other.cpu, 9)} ${n(mine.wall, 8)} ${n(mine.cpu, 9)} ${n(other.wall / mine.wall, 11)} ${n(other.cpu / mine.cpu, 12)}`);
  }
}
main().catch((e) => { console.error(e); process.exitCode = 1; });
