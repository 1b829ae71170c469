// wordpiece_oracle.cjs PROGRAM MODEL [COUNT [SEED]]: random strings through the Hugging Face tokenizers and through embed_ids; the ids must be equal. COUNT
// strings with the model's own tokenizer, and COUNT more parted among the settings of the normaliser's four switches (cased models among them; all 16 from 20,000 strings on), with a
// vocabulary that has every code point of the first plane, so that what a letter became is seen and not only that its word is unknown.
// Run by tests/mcp/npm_rig.py, which installs the package and names it in NPM_MODULES.
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const fs = require('node:fs');
const os = require('node:os');
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
// A few words of one script, as people write.
const scripts = { Latin: [[0x41, 0x5a], [0x61, 0x7a], [0xc0, 0x24f], [0x1e00, 0x1eff]], Greek: [[0x370, 0x3ff], [0x1f00, 0x1fff]], Cyrillic: [[0x400, 0x52f]],
  Armenian: [[0x531, 0x58f]], Hebrew: [[0x591, 0x5f4]], Arabic: [[0x600, 0x6ff], [0xfb50, 0xfdff]], Indic: [[0x900, 0xdff]], Thai: [[0xe00, 0xeff]],
  Tibetan: [[0xf00, 0xfff]], Georgian: [[0x10a0, 0x10ff], [0x1c90, 0x1cbf]], Cherokee: [[0x13a0, 0x13ff], [0xab70, 0xabbf]], Kana: [[0x3041, 0x30ff]],
  Han: [[0x4e00, 0x9fff], [0xf900, 0xfaff], [0x20000, 0x2ceaf]], Hangul: [[0x1100, 0x11ff], [0xac00, 0xd7a3]], Deseret: [[0x10400, 0x1044f], [0x1e900, 0x1e95f]],
  Symbols: [[0x2000, 0x2bff], [0x1f300, 0x1faff]], Full: [[0xff01, 0xffee]] };
function words_of_a_script() {
  const own = pick(Object.values(scripts));
  let s = '';
  for (let n = 1 + below(6); n > 0; n--) {
    for (let k = 1 + below(7); k > 0; k--) s += run(pick(own), 1) + (below(8) === 0 ? run([0x300, 0x36f], 1) : '');
    s += pick([' ', ' ', ', ', '. ', '\u3000', '-']);
  }
  return s;
}
function text() {
  if (below(2) === 0) return words_of_a_script();
  const n = below(20);
  let s = '';
  for (let i = 0; i < n; i++) s += pick(pieces)();
  if (below(50) === 0) s += pick(['a', 'É', 'か', '1']).repeat(95 + below(12)) + pick(['', ' b', '\u0301', '.']);
  return s;
}

function ours(folder, texts) {
  const parts = [];
  for (const t of texts) {
    const bytes = Buffer.from(t, 'utf8');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length);
    parts.push(head, bytes);
  }
  const done = spawnSync(program, [folder], { input: Buffer.concat(parts), maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${program} ended with ${done.status}: ${done.stderr}`);
  return done.stdout.toString().split('\n').slice(0, -1);
}

async function compare(name, folder, strings) {
  const tokenizer = Tokenizer.fromFile(path.join(folder, 'tokenizer.json'));
  tokenizer.disablePadding();
  tokenizer.disableTruncation();
  let tokens = 0, wrong = 0;
  for (let at = 0; at < strings; at += BATCH) {
    const texts = Array.from({ length: Math.min(BATCH, strings - at) }, text);
    const got = ours(folder, texts);
    for (let i = 0; i < texts.length; i++) {
      const ids = (await tokenizer.encode(texts[i])).getIds();
      tokens += ids.length;
      if (ids.join(' ') !== got[i] && wrong++ < 5) {
        console.log(`${name}: ${JSON.stringify(texts[i])}\n  expected ${ids.join(' ')}\n  got      ${got[i]}`);
      }
    }
  }
  console.log(`${name}: ${strings} strings, ${tokens} tokens, ${wrong} differ (seed ${seed})`);
  return wrong;
}

function tokenizer_with(n) {
  const json = JSON.parse(fs.readFileSync(file, 'utf8'));
  const vocab = json.model.vocab;
  let id = words.length;
  const add = (piece) => { if (!(piece in vocab)) vocab[piece] = id++; };
  for (let p = 0x21; p < 0x10000; p++) {
    if (p >= 0xd800 && p <= 0xdfff) continue;
    add(String.fromCodePoint(p));
    add(`##${String.fromCodePoint(p)}`);
  }
  for (const w of words) if (/^[a-z]+$/.test(w)) add(w[0].toUpperCase() + w.slice(1));
  json.normalizer = { type: 'BertNormalizer', clean_text: (n & 1) === 0, handle_chinese_chars: (n & 2) === 0, strip_accents: (n & 4) === 0, lowercase: (n & 8) === 0 };
  if (json.normalizer.strip_accents === json.normalizer.lowercase && n % 2 === 1) json.normalizer.strip_accents = null; // goes with the case
  return json;
}

async function main() {
  let wrong = await compare('the model\'s own', model, count);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wordpiece-'));
  try {
    const settings = count < 20000 ? [4, 8, 12] : Array.from({ length: 16 }, (_, n) => n);
    for (const n of settings) {
      const json = tokenizer_with(n);
      fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
      const { clean_text: clean, handle_chinese_chars: chinese, strip_accents: strip, lowercase: lower } = json.normalizer;
      wrong += await compare(`clean ${clean}, chinese ${chinese}, strip ${strip}, lower ${lower}`, folder, Math.ceil(count / settings.length));
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
  process.exitCode = wrong === 0 ? 0 : 1;
}
main().catch((e) => { console.error(e); process.exitCode = 1; });
