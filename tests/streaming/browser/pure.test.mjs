// What of the browser client needs no browser. Run by test_node.py.
import assert from "node:assert/strict";
import test from "node:test";

import {
  AudioRing, Capture, Continuity, HintStream, Outgoing, PcmFramer, TermCueError, hintsAddress, listMicrophones,
  openDisplaySound, openMicrophone, soundOnly, triedFor, workletSource,
} from "../../../streaming/browser/termcue.js";

const RATE = 8000;
const samples = (count, start = 0) => Int16Array.from({ length: count }, (_, index) => (start + index) % 30000);
const drain = (outgoing) => {
  const sent = [];
  for (let frame; (frame = outgoing.next(0)) !== null;) sent.push(frame);
  return sent;
};
const audio = (sent) => sent.filter((frame) => typeof frame !== "string").flatMap((frame) => [...frame]);
const markers = (sent) => sent.filter((frame) => typeof frame === "string").map(JSON.parse)
  .filter(({ type }) => type === "Marker").map(({ id }) => id);
const opened = (aheadS = 2, ringS = 10) => {
  const outgoing = new Outgoing(RATE, aheadS, ringS);
  outgoing.restart(0, undefined, false);
  return outgoing;
};
const hint = (seq, start, more = {}) => ({
  type: "TermHint", seq, hint_id: "h1", rev: 1, is_final: true, term: "t", entry_id: "g:1", start, end: start + 0.5,
  start_sample: start * 16000, end_sample: (start + 0.5) * 16000, emitted: start + 1, occurrence: 1, ...more,
});
const second = (...before) => {
  const continuity = new Continuity();
  for (const message of [{ type: "Begin", seq: 0 }, ...before]) continuity.take(message);
  continuity.beginSession(6, 9.4);
  return continuity;
};

function withGlobals(globals, run) {
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return Promise.resolve(run()).finally(() => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
  });
}

test("blocks of any length become frames of one length, clipped, with their level", () => {
  const framer = new PcmFramer(4);
  const frames = [];
  const emit = (pcm, level) => frames.push([[...new Int16Array(pcm)], level]);
  framer.add(Float32Array.of(0, 0.5, -2), emit);
  framer.add(Float32Array.of(2, 0, 0, 0, 0, 1), emit);
  assert.deepEqual(frames.map(([pcm]) => pcm), [[0, 16383, -32768, 32767], [0, 0, 0, 0]]);
  assert.ok(Math.abs(frames[0][1] - Math.sqrt(2.25 / 4)) < 1e-9);
  assert.equal(frames[1][1], 0);
});

test("the audio thread's module is whole by itself and mixes the channels", () => {
  const registered = {};
  const posted = [];
  const scope = {
    AudioWorkletProcessor: class { constructor() { this.port = { postMessage: (data) => posted.push(data) }; } },
    registerProcessor: (name, kind) => { registered[name] = kind; },
  };
  new Function(...Object.keys(scope), workletSource())(...Object.values(scope));
  const processor = new registered["termcue-capture"]({ processorOptions: { frameSamples: 2 } });
  assert.equal(processor.process([[]]), true);
  processor.process([[Float32Array.of(1, 0), Float32Array.of(0, 0)]]);
  assert.deepEqual([...new Int16Array(posted[0].pcm)], [16383, 0]);
});

test("the ring is a window of the stream", () => {
  const ring = new AudioRing();
  ring.append(samples(5));
  ring.append(samples(5, 5));
  ring.forget(6);
  assert.deepEqual([ring.start, ring.end], [5, 10]);
  assert.deepEqual([...ring.read(6, 3)], [6, 7, 8]);
  assert.deepEqual([...ring.read(8, 30)], [8, 9]);
});

test("messages keep their place, a marker a second bounds what is under way", () => {
  const outgoing = opened();
  outgoing.addAudio(samples(90));
  assert.deepEqual(drain(outgoing), []);
  outgoing.add({ type: "Finalize" });
  outgoing.addAudio(samples(5 * RATE - 90, 90));
  const sent = drain(outgoing);
  assert.equal(sent[0].length, 90);
  assert.equal(sent[1], '{"type":"Finalize"}');
  assert.deepEqual(markers(sent), ["flow-8090-1", "flow-16090-1"].slice(0, markers(sent).length));
  assert.ok(audio(sent).length >= 2 * RATE && audio(sent).length < 2.1 * RATE);
  assert.equal(outgoing.isFlow("mine"), false);
});

test("after a resume the rest is sent, and what may have been lost", () => {
  const outgoing = opened(5);
  outgoing.add({ type: "Feedback" });
  outgoing.addAudio(samples(2 * RATE));
  outgoing.add({ type: "Finalize" }, "finalize");
  const sent = drain(outgoing);
  outgoing.isFlow(markers(sent)[0]);
  outgoing.restart(12000, undefined, true);
  const again = drain(outgoing);
  assert.deepEqual(markers(again)[0], "flow-12000-0");
  assert.deepEqual(audio(again), [...samples(4000, 12000)]);
  assert.deepEqual(again.filter((frame) => frame === '{"type":"Finalize"}').length, 1);
  assert.ok(!again.includes('{"type":"Feedback"}'));
  assert.equal(outgoing.settle("finalize"), true);
  assert.equal(outgoing.settle("finalize"), false);
});

test("a session in place of another hears three seconds again", () => {
  const outgoing = opened(8);
  outgoing.addAudio(samples(8 * RATE));
  drain(outgoing);
  outgoing.isFlow(`flow-${6.4 * RATE}-0`);
  assert.equal(outgoing.rewound, 3 * RATE);
  assert.ok(outgoing.canGoOnFrom(3 * RATE));
  outgoing.putFirst({ type: "Configure" }, "first");
  outgoing.restart(outgoing.rewound, undefined, false);
  const again = drain(outgoing);
  assert.equal(again[0], '{"type":"Configure"}');
  assert.deepEqual(audio(again), [...samples(5 * RATE, 3 * RATE)]);
});

test("a ring that is full loses the oldest and says how much", () => {
  const outgoing = opened(2, 3);
  assert.equal(outgoing.addAudio(samples(3 * RATE)), 0);
  assert.equal(outgoing.addAudio(samples(800)), 800);
  assert.equal(outgoing.worked, 800);
});

test("the server's limits are kept", () => {
  const outgoing = new Outgoing(RATE, 5, 10);
  outgoing.restart(0, { max_frame_bytes: 101, max_realtime_factor: 2, max_burst_s: 1 }, false);
  outgoing.addAudio(samples(4 * RATE));
  const sent = drain(outgoing);
  assert.deepEqual([...new Set(sent.filter((frame) => typeof frame !== "string").map(({ length }) => length))], [50]);
  assert.ok(audio(sent).length / RATE <= 0.9 && audio(sent).length / RATE >= 0.85);
  assert.ok(outgoing.pauseMs > 0 && outgoing.pauseMs < 10);
});

test("one session is passed on as it is, and a replay is dropped", () => {
  const continuity = new Continuity();
  const said = [{ type: "Begin", seq: 0 }, hint(1, 0.5)];
  assert.deepEqual(said.map((message) => continuity.take(message)), said);
  assert.equal(continuity.take(hint(1, 0.5)), null);
  const resumed = { type: "Begin", seq: 1, resumed: true, audio_received_s: 2 };
  assert.deepEqual(continuity.take(resumed), resumed);
});

test("another session speaks in the time of the stream", () => {
  const continuity = second(hint(1, 2));
  const told = continuity.take(hint(3, 5));
  assert.deepEqual([told.hint_id, told.seq, told.occurrence, told.start, told.start_sample], ["h1.1", 5, 2, 11, 176000]);
  assert.equal(continuity.serverHintId("h1.1"), "h1");
  assert.equal(continuity.serverHintId("h1"), null);
  const lag = continuity.take({ type: "Lag", seq: 4, audio_received_s: 5.2, audio_processed_s: 4 });
  assert.deepEqual([lag.audio_received_s, lag.audio_processed_s], [11.2, 10]);
  assert.equal(continuity.take({ type: "Marker", seq: 5, id: "m", audio_processed_s: 4 }).audio_processed_s, 10);
  assert.equal(continuity.take({ type: "GlossaryUpdated", seq: 6, effective_at: 4.1 }).effective_at, 10.1);
  const sum = continuity.take({ type: "Metadata", seq: 7, duration: 7, hints: 9 });
  assert.deepEqual([sum.duration, sum.hints], [13, 2]);
});

test("a hint that was given is not given again", () => {
  const continuity = second(hint(1, 8));
  assert.equal(continuity.take(hint(1, 2.75)), null);
  assert.equal(continuity.take(hint(2, 2.75, { rev: 2 })), null);
  assert.equal(continuity.take({ type: "HintRetracted", seq: 3, hint_id: "h1" }), null);
  assert.equal(continuity.take(hint(4, 6, { hint_id: "h2", occurrence: 2 })).occurrence, 2);
  assert.notEqual(second(hint(1, 8)).take(hint(1, 2.85)), null);
});

test("an unconfirmed hint is withdrawn with its session", () => {
  const continuity = new Continuity();
  for (const message of [{ type: "Begin", seq: 0 }, hint(1, 8, { is_final: false })]) continuity.take(message);
  const withdrawn = continuity.beginSession(6, 9.4);
  assert.deepEqual(withdrawn, [{ type: "HintRetracted", seq: 2, hint_id: "h1", reason: "session_lost" }]);
});

test("speech, abstentions and chunks are told once", () => {
  const started = (seq, timestamp) => ({ type: "SpeechStarted", seq, timestamp });
  const ended = (seq, timestamp) => ({ type: "SpeechEnded", seq, timestamp });
  const continuity = second(started(1, 1), ended(2, 8), started(3, 9),
    { type: "TermMap", seq: 4, start: 7.68, end: 8.64, terms: [["tree", "Baum", 0.9]] });
  const said = [started(0, 0), ended(1, 2), started(2, 3), ended(3, 5)].map((message) => continuity.take(message));
  assert.deepEqual(said.map((message) => message?.timestamp), [undefined, undefined, undefined, 11]);
  assert.equal(continuity.take({ type: "Abstain", seq: 4, start: 3, end: 3.4 }), null);
  assert.equal(continuity.take({ type: "TermMap", seq: 5, start: 0.96, end: 1.92, terms: [] }), null);
  const map = { type: "TermMap", seq: 6, start: 1.92, end: 2.88, terms: [["tree", "Baum", 0.9], ["root", "W", 0.8]] };
  assert.deepEqual(continuity.take(map).terms, [["root", "W", 0.8]]);
});

test("the address asks for what the options say", () => {
  const address = hintsAddress("wss://host:1/?version=v1", { glossary: "tones", sampleRate: 48000, targetLang: "zh" });
  assert.equal(address.pathname, "/v1/hints");
  const asked = Object.fromEntries(address.searchParams);
  assert.deepEqual(asked, {
    version: "v1", glossary: "tones", target_lang: "zh", encoding: "linear16", channels: "1", sample_rate: "48000",
  });
  assert.throws(() => hintsAddress("http://host", {}), { code: "bad_address" });
  assert.throws(() => hintsAddress("host", {}), { code: "bad_address" });
  assert.throws(() => new HintStream("ws://host", { glossary: "g" }), { code: "bad_setting" });
});

test("a page without a secure context is told so in plain words", () => // Complaint 7.
  withGlobals({ isSecureContext: false }, async () => {
    for (const open of [openMicrophone, openDisplaySound, listMicrophones]) {
      await assert.rejects(open(), (error) => error instanceof TermCueError && error.code === "insecure_context"
        && error.message.includes("https://"));
    }
  }));

for (const [name, code] of [
  ["NotAllowedError", "permission_refused"], ["NotFoundError", "no_microphone"], ["NotReadableError", "device_lost"],
  ["OverconstrainedError", "no_microphone"], ["TypeError", "unsupported"],
]) {
  test(`${name} of the browser is ${code}`, () => {
    const refuse = async () => { throw Object.assign(new Error("no"), { name }); };
    const mediaDevices = { getUserMedia: refuse, getDisplayMedia: refuse };
    return withGlobals({ isSecureContext: true, navigator: { mediaDevices } }, async () => {
      await assert.rejects(openMicrophone(), { code });
      await assert.rejects(openDisplaySound(), { code });
    });
  });
}

test("the chosen device is asked for, unprocessed", () => {
  const asked = [];
  const mediaDevices = {
    getUserMedia: async (constraints) => asked.push(constraints),
    enumerateDevices: async () => [{ kind: "audioinput", deviceId: "d", label: "Desk", groupId: "g" }, { kind: "videoinput" }],
  };
  return withGlobals({ isSecureContext: true, navigator: { mediaDevices } }, async () => {
    await openMicrophone({ deviceId: "d" });
    assert.deepEqual(asked[0].audio, {
      echoCancellation: false, noiseSuppression: false, autoGainControl: false, deviceId: { exact: "d" },
    });
    assert.deepEqual(await listMicrophones(), [{ deviceId: "d", label: "Desk" }]);
  });
});

test("a shared tab without sound is refused, and its picture is stopped", async () => {
  let stopped = 0;
  const video = { stop: () => { stopped += 1; } };
  const stream = { getVideoTracks: () => [video], removeTrack() {}, getAudioTracks: () => [] };
  assert.throws(() => soundOnly(stream), { code: "no_audio_track" });
  assert.equal(stopped, 1);
  await assert.rejects(Capture.start(stream), { code: "no_audio_track" });
  const sound = { getAudioTracks: () => [{}] };
  await assert.rejects(Capture.start(sound, { frameMs: 200 }), { code: "bad_setting" });
});

test("a stream that is given up says what was tried", () => {
  assert.equal(triedFor(1249, 8000, 2), "tried for 1.2 s");
  assert.equal(triedFor(3, 5000, 2), "not tried again: the next try, in 5.0 s, is later than the 2 s to give up after");
});
