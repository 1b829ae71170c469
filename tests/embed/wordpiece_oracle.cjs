// wordpiece_oracle.cjs PROGRAM MODEL [COUNT [SEED]]: random strings through the Hugging Face tokenizers and through embed_ids; the ids must be equal.
// Run by tests/mcp/npm_rig.py, which installs the package and names it in NPM_MODULES.
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const fs = require('node:fs');
const { Tokenizer } = require(path.join(process.env.NPM_MODULES, '@anush008/tokenizers'));

const [program, model, countText, seedText] = process.argv.slice(2);
const count = Number(countText || 3000);
const seed = Number(seedText || 1);
const BATCH = 2000;

function randomizer(state) { // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const random = randomizer(seed);
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

const file = path.join(model, 'tokenizer.json');
const words = Object.keys(JSON.parse(fs.readFileSync(file, 'utf8')).model.vocab);
const specials = ['[CLS]', '[SEP]', '[MASK]', '[PAD]', '[UNK]', '[cls]', '[CLS', '[', ']'];
const ranges = [[0x20, 0x7e], [0, 0x1f], [0x7f, 0x24f], [0x300, 0x36f], [0x370, 0x52f], [0x590, 0x6ff], [0x900, 0xdff], [0xe00, 0x11ff],
  [0x13a0, 0x1fff], [0x2000, 0x2bff], [0x2e80, 0x33ff], [0x3400, 0x9fff], [0xa000, 0xabff], [0xac00, 0xd7a3], [0xf900, 0xffff], [0x10000, 0x1ffff],
  [0x20000, 0x323af], [0xe0000, 0xe01ef], [0, 0x10ffff]];

function point() {
  for (;;) {
    const [first, last] = pick(ranges);
    const p = first + below(last - first + 1);
    if (p < 0xd800 || p > 0xdfff) return String.fromCodePoint(p);
  }
}
function run(range, n) {
  let s = '';
  for (let i = 0; i < n; i++) s += String.fromCodePoint(range[0] + below(range[1] - range[0] + 1));
  return s;
}
const pieces = [
  () => point(),
  () => point() + point() + point(),
  () => pick(words),
  () => pick(words).toUpperCase(),
  () => pick(words).replace(/^##/, '') + pick(words).replace(/^##/, ''),
  () => ' ',
  () => pick([' ', '\t', '\n', '\r\n', '\u00a0', '\u2028', '\u0085', '\u200b', '\u00ad', '']),
  () => run([0x61, 0x7a], 1 + below(12)),
  () => run([0x30, 0x39], 1 + below(6)),
  () => run([0x21, 0x2f], 1 + below(3)),
  () => pick(specials),
  () => run(pick(ranges.filter(([a, b]) => b < 0xd800 || a > 0xdfff).slice(0, -1)), 1 + below(8)),
];
function text() {
  const n = below(20);
  let s = '';
  for (let i = 0; i < n; i++) s += pick(pieces)();
  if (below(50) === 0) s += pick(['a', 'É', 'か', '1']).repeat(95 + below(12)) + pick(['', ' b', '\u0301', '.']);
  return s;
}

function ours(texts) {
  const parts = [];
  for (const t of texts) {
    const bytes = Buffer.from(t, 'utf8');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length);
    parts.push(head, bytes);
  }
  const done = spawnSync(program, [model], { input: Buffer.concat(parts), maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${program} ended with ${done.status}: ${done.stderr}`);
  return done.stdout.toString().split('\n').slice(0, -1);
}

async function main() {
  const tokenizer = Tokenizer.fromFile(file);
  tokenizer.disablePadding();
  tokenizer.disableTruncation();
  let tokens = 0, wrong = 0;
  for (let at = 0; at < count; at += BATCH) {
    const texts = Array.from({ length: Math.min(BATCH, count - at) }, text);
    const got = ours(texts);
    for (let i = 0; i < texts.length; i++) {
      const ids = (await tokenizer.encode(texts[i])).getIds();
      tokens += ids.length;
      if (ids.join(' ') !== got[i] && wrong++ < 5) {
        console.log(`${JSON.stringify(texts[i])}\n  expected ${ids.join(' ')}\n  got      ${got[i]}`);
      }
    }
  }
  console.log(`${count} strings, ${tokens} tokens, ${wrong} differ (seed ${seed})`);
  process.exitCode = wrong === 0 ? 0 : 1;
}
main().catch((e) => { console.error(e); process.exitCode = 1; });
