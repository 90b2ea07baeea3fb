// The logic of the page that needs no page: rows, downloads, training rows, notices, the log, tables.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Notices, silenceNotice } from "../../demo/static/banners.js";
import { bandOf, Board } from "../../demo/static/board.js";
import { Lexicon } from "../../demo/static/desk.js";
import { toCsv, toJsonl, toSrt, toVtt } from "../../demo/static/downloads.js";
import { sayStop } from "../../demo/static/dial_words.js";
import { fitOf } from "../../demo/static/fitting.js";
import { csvOf, found, idOf, tableOf } from "../../demo/static/glossary_table.js";
import { cutOf, trainingRow, wavOf, zipOf } from "../../demo/static/judged.js";
import { SessionLog } from "../../demo/static/session_log.js";

let numbered = 0;
const hint = (term, more = {}) => ({
  type: "TermHint", seq: numbered, hint_id: `h${numbered++}`, rev: 1, is_final: true, term, translation: `${term} auf Deutsch`,
  entry_id: `id:${term}`, start: 1, end: 1.5, score: 0.98, occurrence: 1, glossary_version: "v1",
  latency_ms: { since_term_end: 400 }, ...more,
});
const said = (board, terms, nowS = 0) => terms.forEach((term) => board.hint(hint(term), { de: term }, nowS));
const terms = (board, nowS = 0) => board.shown(nowS).map((row) => row.term);

test("the newest row is first, and no more than eight stand", () => {
  const board = new Board();
  said(board, "abcdefghij".split(""));
  assert.deepEqual(terms(board), "jihgfedc".split(""));
  assert.equal(board.history.length, 10);
});

test("a term said again bumps its row and counter and makes no second row", () => {
  const board = new Board();
  said(board, ["a", "b", "a"]);
  assert.deepEqual(board.shown(0).map(({ term, count }) => [term, count]), [["a", 2], ["b", 1]]);
});

test("a revision of a hint counts once, and one that is withdrawn leaves", () => {
  const board = new Board();
  const open = hint("a", { is_final: false });
  board.hint(open, {}, 0);
  assert.equal(board.shown(0)[0].band.sign, "?");
  board.hint({ ...open, rev: 2 }, {}, 0);
  assert.equal(board.shown(0)[0].count, 1);
  board.retract(open.hint_id);
  assert.deepEqual(terms(board), []);
});

test("a late hint goes to the history alone", () => {
  const board = new Board();
  board.hint(hint("late"), {}, 0, true);
  assert.deepEqual(terms(board), []);
  assert.deepEqual(board.history.map(({ term, isLate }) => [term, isLate]), [["late", true]]);
});

test("a pinned row keeps its place at the end, and is never pushed out", () => {
  const board = new Board();
  said(board, ["a", "b"]);
  assert.ok(board.pin("id:a"));
  said(board, "cdefghij".split(""));
  assert.equal(terms(board).length, 8);
  assert.deepEqual([terms(board)[0], terms(board).at(-1)], ["j", "a"]);
  said(board, ["a"]);
  assert.equal(terms(board).at(-1), "a");
});

test("newest terms keep their room: no more than four are pinned", () => {
  const board = new Board();
  said(board, "abcde".split(""));
  assert.deepEqual("abcde".split("").map((term) => board.pin(`id:${term}`)), [true, true, true, true, false]);
});

test("a muted term comes no more, and undo brings it back to its place", () => {
  const board = new Board();
  said(board, ["a", "b", "c"]);
  board.mute("id:b");
  said(board, ["b"]);
  assert.deepEqual(terms(board), ["c", "a"]);
  assert.deepEqual([...board.muted.keys()], ["id:b"]);
  assert.equal(board.undo().kind, "mute");
  assert.deepEqual(terms(board), ["c", "b", "a"]);
  assert.equal(board.muted.size, 0);
});

test("keys act on the newest row, or on the chosen one though others come", () => {
  const board = new Board();
  said(board, ["a", "b"]);
  assert.equal(board.target.term, "b");
  board.move(1);
  said(board, ["c"]);
  assert.equal(board.target.term, "a");
  board.release();
  assert.equal(board.target.term, "c");
});

test("a judgement is of the last hint of a row, and can be undone", () => {
  const board = new Board();
  said(board, ["a", "a"]);
  const last = board.rows[0].hintIds.at(-1);
  assert.equal(board.judge("wrong", "id:a"), last);
  assert.equal(board.shown(0)[0].verdict, "wrong");
  assert.deepEqual(board.undo().hintId, last);
  assert.equal(board.shown(0)[0].verdict, null);
});

test("rows are dimmed, then leave, but pinned ones stay", () => {
  const board = new Board();
  said(board, ["a", "b"]);
  board.pin("id:a");
  assert.deepEqual(board.shown(30).map(({ term, isOld }) => [term, isOld]), [["b", true], ["a", false]]);
  assert.ok(board.tick(100));
  assert.deepEqual(terms(board, 100), ["a"]);
});

test("undo with nothing to undo does nothing", () => assert.equal(new Board().undo(), null));

test("certainty has a sign and not only a colour", () => {
  assert.deepEqual([0.99, 0.9, 0.5].map((score) => bandOf(score).sign), ["●●●", "●●○", "●○○"]);
});

test("CSV is quoted, and nothing in it is computed by a spreadsheet", () => {
  const lines = toCsv([hint('=SUM("a",1)', { translation: null, score: 0.5 })]).split("\r\n");
  assert.ok(lines[0].startsWith("start,end,term,translation,score"));
  assert.ok(lines[1].startsWith(`1,1.5,"'=SUM(""a"",1)",,0.5,1,400,`));
  for (const begun of ["+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]) {
    assert.ok(toCsv([hint(`${begun}1`)]).includes(`'${begun}1`), JSON.stringify(begun));
  }
});

test("SRT and VTT hold a cue for each hint in the order of time", () => {
  const hints = [hint("later", { start: 3661.0004, end: 3661.2 }), hint("a <b>\n\nc", { start: 0.5, end: 3 })];
  assert.equal(toSrt(hints).split("\n\n")[0], "1\n00:00:00,500 --> 00:00:03,000\na <b> c → a <b> c auf Deutsch");
  assert.ok(toSrt(hints).includes("2\n01:01:01,000 --> 01:01:02,500\nlater"));
  assert.ok(toVtt(hints).startsWith("WEBVTT\n\n00:00:00.500 --> 00:00:03.000\na &lt;b&gt; c →"));
});

test("files hold both languages that are shown", () => {
  const log = new SessionLog();
  log.take(hint("ion"), { de: "ion auf Deutsch", es: "=ion" });
  log.take(hint("salt"), { de: "salt auf Deutsch" });
  const [heading, first, second] = toCsv(log.translated, ["de", "es"]).split("\r\n");
  assert.ok(heading.startsWith("start,end,term,translation,translation:es,score,"));
  assert.ok(first.startsWith("1,1.5,ion,ion auf Deutsch,'=ion,0.98,"));
  assert.ok(second.startsWith("1,1.5,salt,salt auf Deutsch,,0.98,"));
  assert.ok(toSrt(log.translated, ["de", "es"]).includes("ion → ion auf Deutsch · =ion\n"));
  assert.ok(toVtt(log.translated, ["de", "es"]).includes("salt → salt auf Deutsch\n"));
  assert.ok(!toSrt(log.translated, ["de"]).includes("=ion"));
});

test("JSONL gives the messages back", () => {
  const hints = [hint("a"), hint("b")];
  assert.deepEqual(toJsonl(hints).trim().split("\n").map((line) => JSON.parse(line)), hints);
});

test("a training row holds the term where it was right, and nothing where it was wrong", () => {
  const judged = hint("a", { start: 5, end: 5.5 });
  assert.deepEqual(cutOf(judged), { startS: 4, endS: 6.5 });
  const row = (verdict) => trainingRow({ hint: judged, verdict, startS: 4, samples: 40000, path: "clips/h.wav", session: "s" });
  assert.deepEqual(row("right").terms, [["a", 1, 1.5]]);
  assert.deepEqual(row("wrong").terms, []);
  assert.deepEqual(row("wrong").hint.span, [1, 1.5]);
});

test("a WAV file says how long it is", () => {
  const bytes = wavOf(Int16Array.from([1, -1]));
  assert.equal(new TextDecoder("latin1").decode(bytes.slice(0, 4)), "RIFF");
  assert.deepEqual([...new Int16Array(bytes.slice(44).buffer)], [1, -1]);
});

test("a ZIP has its magic numbers and the checksum of its content", async () => {
  const bytes = new DataView(await zipOf({ "a.txt": new TextEncoder().encode("123456789") }).arrayBuffer());
  assert.equal(bytes.getUint32(0, true), 0x04034b50);
  assert.equal(bytes.getUint32(14, true), 0xcbf43926);
});

test("silence is told apart from sound without speech, and neither is told while somebody speaks", () => {
  assert.equal(silenceNotice({ sinceSpeechS: 9, loudest: 0, isSpeaking: false }), null);
  assert.equal(silenceNotice({ sinceSpeechS: 99, loudest: 0, isSpeaking: true }), null);
  assert.match(silenceNotice({ sinceSpeechS: 11, loudest: 0, isSpeaking: false }), /muted/);
  assert.match(silenceNotice({ sinceSpeechS: 11, loudest: 0.2, isSpeaking: false }), /No speech/);
});

test("of a recording no microphone is asked for", () => {
  const heard = { sinceSpeechS: 11, isSpeaking: false, isRecording: true };
  assert.match(silenceNotice({ ...heard, loudest: 0 }), /^Nothing but silence .* do its channels cancel each other, or /);
  assert.match(silenceNotice({ ...heard, loudest: 0.2 }), /^No speech for 10 seconds, though sound comes in\. .* is it too soft, or /);
  for (const loudest of [0, 0.2]) assert.doesNotMatch(silenceNotice({ ...heard, loudest }), /microphone|device|closer/);
});

test("notices stand once each, errors first", () => {
  const notices = new Notices();
  assert.ok(notices.say("a", "note", "one"));
  assert.ok(!notices.say("a", "note", "one"));
  notices.say("b", "error", "two");
  assert.deepEqual(notices.all.map(({ name }) => name), ["b", "a"]);
  assert.ok(notices.clear("a") && !notices.clear("a"));
});

test("the log counts, and stays bounded for hours", () => {
  const log = new SessionLog();
  for (let number = 0; number < 30000; number += 1) {
    log.take(hint("a", { latency_ms: { since_term_end: number % 1000 } }));
    log.take({ type: "Abstain", seq: 1, start: 0, end: 1, reason: "no_candidate", best_score: 0 });
    log.take({ type: "SpeechStarted", seq: 2, timestamp: number });
  }
  assert.ok(log.hints.length <= 20000 && log.marks.length <= 400 && log.messages.length <= 400 && log.speech.length <= 400);
  assert.equal(log.abstentions.get("no_candidate"), 30000);
  assert.equal(log.histogram().reduce((sum, { count }) => sum + count, 0), 30000);
  assert.ok(log.percentile(0.5) < log.percentile(0.95));
});

test("the log knows the version, the lag and open speech", () => {
  const log = new SessionLog();
  log.take({ type: "Begin", seq: 0, glossary: { version: "v1" } });
  log.take({ type: "GlossaryUpdated", seq: 1, to: "v2" });
  log.take({ type: "SpeechStarted", seq: 2, timestamp: 1 });
  assert.deepEqual([log.version, log.speech[0].end, log.percentile(0.5)], ["v2", null, null]);
});

test("a setting of the dial tells what was measured with it, and says so where nothing was", () => {
  const stop = { per_hour: 12, threshold: 0.9, recall: [0.551, 0.969], terms: [300, 334], measured_at: 12 };
  assert.match(sayStop(stop), /^About 12 false hints an hour .* probability of 0\.900 /);
  assert.match(sayStop(stop), /expect 55 % to 97 %: .*, with 300 to 334 terms;/);
  assert.match(sayStop({ ...stop, terms: [300, 300] }), /, with 300 terms;/);
  assert.match(sayStop({ ...stop, recall: null, terms: null, measured_at: null }), /not measured for this model\.$/);
});

test("a setting beyond what was measured promises no more than that there were fewer, or at least as many", () => {
  const stop = { threshold: 0.9, recall: [0.551, 0.969], terms: [300, 334], measured_at: 12 };
  assert.match(sayStop({ ...stop, per_hour: 3 }), /expect fewer than at 12 an hour, the lowest that was measured, where it is 55 % to 97 %:/);
  assert.match(sayStop({ ...stop, per_hour: 60 }), /expect at least as many as at 12 an hour, the highest that was measured, where it is 55 % to 97 %:/);
});

const TABLE = [
  ["id", "term", "aliases", "note", "translation:de", "translation:zh"],
  ["t:1", "leisure", "", "x", "Muße", "闲暇"], ["t:2", 'a "b", c', "", "", "", ""],
];

test("a table shows translations beside their terms, and is written as it was read", () => {
  const table = tableOf(TABLE);
  assert.deepEqual(table.columns, ["id", "term", "translation:de", "translation:zh", "aliases", "note"]);
  table.rows.push({ term: " " });
  assert.equal(csvOf(table), 'id,term,translation:de,translation:zh,aliases,note\r\nt:1,leisure,Muße,闲暇,,x\r\nt:2,"a ""b"", c",,,,\r\n');
  assert.deepEqual(found(table.rows, "MUSSE".slice(0, 2)).map((row) => row.id), ["t:1"]);
});

test("all translations of a hint are known, its own is the server's", () => {
  const lexicon = new Lexicon(tableOf(TABLE));
  const known = lexicon.of(hint("leisure", { entry_id: "t:1", translation: "Freizeit" }), "de");
  assert.deepEqual(known, { de: "Freizeit", zh: "闲暇" });
  assert.deepEqual(new Lexicon().of(hint("x", { translation: null }), "de"), {});
});

test("a file's name becomes an id", () => {
  assert.deepEqual(["My Talk (2).xlsx", "---.csv"].map(idOf), ["my-talk-2", "glossary"]);
});

test("a word is made smaller before it is broken", () => {
  const fits = [50, 125, 250, 400].map((width) => fitOf(width, 100)).map(({ share, lines }) => [share, lines]);
  assert.deepEqual(fits, [[1, 2], [0.8, 2], [0.6, 2], [0.42, 3]]);
});
