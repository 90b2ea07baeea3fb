/**
 * Hints that a listener judged, with the sound around them, as rows that `termcue train` reads.
 *
 * A row: id, path, start_sample, samples (at 16 kHz), text, terms [[term, start_s, end_s]], words; a wrong hint's row has
 * no terms, so it teaches silence. `verdict`, `hint` and `score` say what the listener saw.
 */

const RATE = 16000;
const AROUND_S = 1;

/** What is cut out for a hint: seconds of the stream. */
export function cutOf(hint) {
  return { startS: Math.max(0, hint.start - AROUND_S), endS: hint.end + AROUND_S };
}

/** The row of a judged hint whose clip starts at `startS` of the stream and has so many samples at 16 kHz. */
export function trainingRow({ hint, verdict, startS, samples, path, session }) {
  const said = [hint.term, round(hint.start - startS), round(hint.end - startS)];
  return {
    id: `${session}-${hint.hint_id}`, path, start_sample: 0, samples, duration_s: samples / RATE, text: "",
    terms: verdict === "right" ? [said] : [], words: [], recording: session, speaker: "",
    verdict, hint: { term: hint.term, entry_id: hint.entry_id, span: said.slice(1), score: hint.score,
      glossary_version: hint.glossary_version },
  };
}

function round(seconds) {
  return Math.round(seconds * 1e4) / 1e4;
}

/** Int16Array at 16 kHz -> the bytes of a WAV file. */
export function wavOf(samples) {
  const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, letters) => [...letters].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + samples.length * 2, true); text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, RATE, true); bytes.setUint32(28, RATE * 2, true); bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true); text(36, "data"); bytes.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, at) => bytes.setInt16(44 + at * 2, sample, true));
  return new Uint8Array(bytes.buffer);
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Files as {name: Uint8Array} -> a ZIP archive without compression (APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16). */
export function zipOf(files) {
  const parts = [], directory = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const named = new TextEncoder().encode(name);
    // Version 2.0, UTF-8 names, stored; the date is 1 January 1980, the first there is.
    const fields = [20, 0x0800, 0, 0, 33];
    const sizes = [crc32(content), content.length, content.length];
    const local = record(30, 0x04034b50, fields, sizes, [named.length, 0]);
    directory.push(record(46, 0x02014b50, [20, ...fields], sizes, [named.length, 0, 0, 0, 0], [0, at]), named);
    parts.push(local, named, content);
    at += local.length + named.length + content.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = Object.keys(files).length;
  return new Blob([...parts, ...directory, record(22, 0x06054b50, [0, 0, count, count], [size, at], [0])]);
}

/** A record of little-endian numbers: its signature, then groups of 16-bit and 32-bit numbers in turn. */
function record(length, signature, ...groups) {
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, signature, true);
  let at = 4;
  groups.forEach((group, number) => group.forEach((value) => {
    if (number % 2 === 0) { view.setUint16(at, value, true); at += 2; } else { view.setUint32(at, value, true); at += 4; }
  }));
  return new Uint8Array(view.buffer);
}
