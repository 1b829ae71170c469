#!/usr/bin/env node
// embed-facts.cjs > activities/embed/facts.def: what each step of the reference tokenizer does to each code point, one step at a time.
//
// Measured, not derived: every code point goes between two letters through the normaliser of the Hugging Face tokenizers (npm @anush008/tokenizers, NPM_MODULES
// names the folder) with one of its switches on, and through its splitter. How steps combine is code (codepoint.c), and a test compares the combination of all
// with the table that was measured with all switches on (codepoint.def).
const path = require('node:path');
const { bertNormalizer, bertPreTokenizer } = require(path.join(process.env.NPM_MODULES, '@anush008/tokenizers'));

const POINTS = 0x110000;
const isHangul = (p) => p >= 0xac00 && p <= 0xd7a3; // decomposed by rule
const step = (on) => bertNormalizer({ cleanText: false, handleChineseChars: false, stripAccents: false, lowercase: false, ...on });
const clean = step({ cleanText: true }), chinese = step({ handleChineseChars: true }), strip = step({ stripAccents: true }), lower = step({ lowercase: true });
const splitter = bertPreTokenizer();

function* points() {
  for (let p = 0; p < POINTS; p++) if (p < 0xd800 || p > 0xdfff) yield p;
}
const inside = (normalizer, p) => normalizer.normalizeString(`a${String.fromCodePoint(p)}a`).slice(1, -1);
function words(p) {
  return splitter.preTokenizeString(`a${String.fromCodePoint(p)}a`).length;
}

function ranges(kind, is) {
  let first = -1, last = -1;
  const out = () => { if (first >= 0) console.log(`FACT(${kind}, 0x${first.toString(16)}, 0x${last.toString(16)})`); };
  for (const p of points()) {
    if (!is(p)) continue;
    if (first < 0 || p !== last + 1) { out(); first = p; }
    last = p;
  }
  out();
}
function maps(kind, normalizer) {
  for (const p of points()) {
    const to = [...inside(normalizer, p)].map((c) => c.codePointAt(0));
    if (isHangul(p) || to.length === 0 || (to.length === 1 && to[0] === p)) continue;
    if (to.length > 3) throw new Error(`${p.toString(16)} becomes ${to.length} letters`);
    console.log(`MAP(${kind}, 0x${p.toString(16)}, ${[...to, 0, 0].slice(0, 3).map((c) => `0x${c.toString(16)}`).join(', ')})`);
  }
}

console.log('/* Written by tools/embed-facts.cjs, which says what it means: not to be edited. Each list is in order. */');
console.log('/* Dropped by cleaning. */');
ranges('CLEANED', (p) => inside(clean, p) === '');
console.log('/* White space, to the splitter. */');
ranges('WHITE', (p) => words(p) === 2);
console.log('/* A word of its own, to the splitter. */');
ranges('PUNCTUATION', (p) => words(p) === 3);
console.log('/* Parted as Chinese. */');
ranges('CHINESE', (p) => inside(chinese, p) === ` ${String.fromCodePoint(p)} `);
console.log('/* Marks: dropped with the accents. */');
ranges('MARK', (p) => inside(strip, p) === '');
console.log('/* What is left without accents. Hangul is decomposed by rule. */');
maps('STRIPPED', strip);
console.log('/* Lower case. */');
maps('LOWER', lower);
