/**
 * TermCue in a web page: the microphone, or the sound of a tab, to a server, and its hints as events.
 *
 *     import { openMicrophone, HintStream, Capture } from "/v1/client.js";
 *
 *     const capture = await Capture.start(await openMicrophone(), { onLevel: (level) => meter.value = level });
 *     const stream = new HintStream("wss://host:8765", { glossary: "talks", targetLang: "de", sampleRate: capture.sampleRate });
 *     stream.addEventListener("TermHint", ({ detail }) => show(detail.term, detail.translation));
 *     stream.addEventListener("state", ({ detail }) => banner(detail.state, detail.message));
 *     stream.addEventListener("failed", ({ detail }) => alert(detail.message));
 *     capture.pipeTo(stream);
 *     ...
 *     capture.stop();            // the last hints and Metadata still come
 *
 * Every message of the server is an event of its type, and one called "message". A connection that breaks is made again:
 * audio that the server has not worked on is sent again; where it has forgotten the session another one goes on, with the
 * times, numbers and hints of one stream.
 */

const PROTOCOL = 1;
const HINTS_PATH = "/v1/hints";
const FLOW = "flow-";
const WISH_ID = "again";
const REWIND_S = 3;
const REPEATED_WITHIN_S = 0.3;
// A browser shows no pings: a server that has audio to answer for and is silent so long is gone.
const SILENT_MS = 15000;
const FRAME_MS = { least: 20, most: 100 };
// The wish, the key, the glossary or the client itself is wrong: nothing gets better by asking again.
const NEVER = new Set([1000, 1002, 1007, 1009, 4400, 4401, 4404, 4409, 4429]);
const SESSION_GONE = new Set([1011, 4408, 4410]);

/** What went wrong. `code` is for programs:
 * insecure_context, permission_refused, no_microphone, no_audio_track, device_lost, suspended, unsupported (capture);
 * the server's own code, connection_lost, protocol (stream); bad_address, bad_setting (the caller).
 */
export class TermCueError extends Error {
  constructor(code, message, cause) {
    super(message, { cause });
    this.name = "TermCueError";
    this.code = code;
  }
}

// ---- capture ----

/** Float32 blocks of any length -> s16le frames of a fixed length. Pure; also runs in the audio thread. */
export class PcmFramer {
  constructor(frameSamples) {
    this.frameSamples = frameSamples;
    this.frame = new Int16Array(frameSamples);
    this.filled = 0;
    this.squares = 0;
  }

  /** Calls `emit(ArrayBuffer of s16le, level)` for each full frame; the level is its root mean square, 0..1. */
  add(samples, emit) {
    for (const sample of samples) {
      const bounded = Math.max(-1, Math.min(1, sample));
      this.frame[this.filled++] = bounded < 0 ? bounded * 0x8000 : bounded * 0x7fff;
      this.squares += bounded * bounded;
      if (this.filled === this.frameSamples) {
        emit(this.frame.buffer, Math.sqrt(this.squares / this.frameSamples));
        this.frame = new Int16Array(this.frameSamples);
        this.filled = this.squares = 0;
      }
    }
  }
}

/** The source of the audio thread's module: it mixes the channels and gives frames. */
export function workletSource() {
  return `${PcmFramer}
registerProcessor("termcue-capture", class extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.framer = new PcmFramer(options.processorOptions.frameSamples);
  }
  process([channels]) {
    if (channels.length > 0) {
      const mono = channels.length === 1 ? channels[0] : channels[0].map((_, index) =>
        channels.reduce((sum, channel) => sum + channel[index], 0) / channels.length);
      this.framer.add(mono, (pcm, level) => this.port.postMessage({ pcm, level }, [pcm]));
    }
    return true;
  }
});`;
}

function mediaDevices() {
  if (!globalThis.isSecureContext) {
    throw new TermCueError("insecure_context",
      "The browser gives no microphone to pages over http:// (but for localhost): open the page over https://.");
  }
  if (!globalThis.navigator?.mediaDevices) {
    throw new TermCueError("unsupported", "This browser cannot record: use a current one.");
  }
  return navigator.mediaDevices;
}

function captureError(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new TermCueError("permission_refused",
        "Recording was not allowed: allow it for this page in the browser's site settings.", error);
    case "NotFoundError":
    case "OverconstrainedError":
      return new TermCueError("no_microphone", "No such microphone is connected: choose another.", error);
    case "NotReadableError":
    case "AbortError":
      return new TermCueError("device_lost", "The microphone cannot be opened: close what else uses it.", error);
    default:
      return new TermCueError("unsupported", `Recording failed: ${error.message}`, error);
  }
}

/** The microphones as [{deviceId, label}]; labels are there once recording has been allowed. Throws TermCueError. */
export async function listMicrophones() {
  const devices = await mediaDevices().enumerateDevices();
  return devices.filter((device) => device.kind === "audioinput").map(({ deviceId, label }) => ({ deviceId, label }));
}

/** A MediaStream of a microphone, unprocessed unless `processing` is true. Throws TermCueError. */
export async function openMicrophone({ deviceId, processing = false } = {}) {
  const audio = {
    echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing,
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
  };
  const devices = mediaDevices();
  try {
    return await devices.getUserMedia({ audio });
  } catch (error) {
    throw captureError(error);
  }
}

/** A MediaStream of the sound of a tab or screen that the user chooses. Throws TermCueError. */
export async function openDisplaySound() {
  const devices = mediaDevices();
  let stream;
  try {
    // No browser shares sound alone; the picture is dropped at once.
    stream = await devices.getDisplayMedia({ video: true, audio: { suppressLocalAudioPlayback: false } });
  } catch (error) {
    throw captureError(error);
  }
  return soundOnly(stream);
}

/** The same stream without its pictures. Throws TermCueError where it has no sound. */
export function soundOnly(stream) {
  for (const track of stream.getVideoTracks()) {
    track.stop();
    stream.removeTrack(track);
  }
  if (stream.getAudioTracks().length === 0) {
    throw new TermCueError("no_audio_track", "Nothing with sound was shared: choose a tab, and tick \"share audio\".");
  }
  return stream;
}

/** Records a MediaStream at its own rate, in frames of s16le mono. */
export class Capture {
  /**
   * @param {MediaStream} media what to record
   * @param {{frameMs?: number, onLevel?: (level: number) => void, onFrame?: (pcm: ArrayBuffer) => void,
   *   onEnded?: (error: TermCueError) => void}} options frames of 20 to 100 ms; levels are 0..1
   * @throws TermCueError
   */
  static async start(media, options = {}) {
    const [track] = media.getAudioTracks();
    if (!track) throw new TermCueError("no_audio_track", "This stream has no sound: choose another source.");
    const frameMs = options.frameMs ?? 40;
    if (!(frameMs >= FRAME_MS.least && frameMs <= FRAME_MS.most)) {
      throw new TermCueError("bad_setting", `frameMs = ${frameMs}: give 20 to 100.`);
    }
    // Some browsers refuse to record a device in a context of another rate.
    const sampleRate = track.getSettings().sampleRate;
    const context = new AudioContext(sampleRate ? { sampleRate } : {});
    const address = URL.createObjectURL(new Blob([workletSource()], { type: "text/javascript" }));
    try {
      await context.audioWorklet.addModule(address);
      await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 1000))]);
      if (context.state !== "running") {
        throw new TermCueError("suspended", "The browser records only after a click on the page: start from a button.");
      }
    } catch (error) {
      await context.close();
      throw error instanceof TermCueError ? error : captureError(error);
    } finally {
      URL.revokeObjectURL(address);
    }
    return new Capture(media, track, context, frameMs, options);
  }

  constructor(media, track, context, frameMs, options) {
    this.sampleRate = context.sampleRate;
    this.media = media;
    this.context = context;
    this.options = options;
    this.stream = null;
    const frameSamples = Math.round(this.sampleRate * frameMs / 1000);
    this.source = context.createMediaStreamSource(media);
    this.node = new AudioWorkletNode(context, "termcue-capture", { processorOptions: { frameSamples } });
    this.node.port.onmessage = ({ data }) => {
      options.onLevel?.(data.level);
      options.onFrame?.(data.pcm);
      this.stream?.sendAudio(data.pcm);
    };
    // Nothing is written to the output: it is there so that the graph is pulled.
    this.source.connect(this.node).connect(context.destination);
    track.addEventListener("ended", () => {
      options.onEnded?.(new TermCueError("device_lost", "The recording ended: the device or the shared tab is gone."));
      this.stop();
    });
  }

  /** Send all that is recorded from here on to a HintStream. */
  pipeTo(stream) {
    this.stream = stream;
  }

  /** Stop recording; the stream it was sent to hears the end. */
  async stop() {
    if (this.context.state === "closed") return;
    this.node.port.onmessage = null;
    this.source.disconnect();
    for (const track of this.media.getTracks()) track.stop();
    this.stream?.close();
    await this.context.close();
  }
}

// ---- what goes out ----

/** The end of a stream of s16le mono by position, the index of a sample since its start. */
export class AudioRing {
  constructor() {
    this.start = 0;
    this.chunks = [];
    this.end = 0;
  }

  /** Keep more: an Int16Array. */
  append(samples) {
    this.chunks.push({ at: this.end, samples });
    this.end += samples.length;
  }

  /** Up to `count` samples from `position` on, which must be kept. */
  read(position, count) {
    const read = new Int16Array(Math.max(0, Math.min(count, this.end - position)));
    for (const { at, samples } of this.chunks) {
      const from = Math.max(at, position);
      const to = Math.min(at + samples.length, position + read.length);
      if (from < to) read.set(samples.subarray(from - at, to - at), from - position);
    }
    return read;
  }

  /** Keep nothing before that position but what shares a chunk with later samples. */
  forget(before) {
    while (this.chunks.length > 0 && this.chunks[0].at + this.chunks[0].samples.length <= before) {
      this.start = this.chunks[0].at + this.chunks.shift().samples.length;
    }
  }
}

/** What is to be sent, in its order, and what must be sent again. Its twin: streaming/client/outgoing.py. */
export class Outgoing {
  constructor(sampleRate, aheadS = 5, ringS = 60) {
    Object.assign(this, { rate: sampleRate, ahead: aheadS * sampleRate, capacity: ringS * sampleRate });
    Object.assign(this, { ring: new AudioRing(), worked: 0, sent: 0, marked: 0, messages: [], unsent: 0 });
    Object.assign(this, { numbered: 0, lastNumber: 0, pauseMs: null, factor: null, leftS: 0, burstS: 0, lastMs: null });
    this.longest = Math.round(sampleRate * FRAME_MS.most / 1000);
  }

  /** Add samples; where more than the ring holds waits for the server, the oldest are lost: their number. */
  addAudio(samples) {
    this.ring.append(samples);
    const lost = Math.max(0, this.ring.end - this.capacity - this.worked);
    if (lost > 0) {
      this.worked += lost;
      this.ring.forget(this.rewound);
    }
    return lost;
  }

  add(message, key = "") {
    this.messages.push({ number: ++this.numbered, position: this.ring.end, key, text: JSON.stringify(message) });
  }

  /** The oldest message of that key was answered: whether there was one. */
  settle(key) {
    const index = this.messages.findIndex((message) => message.key === key);
    if (index < 0) return false;
    this.messages.splice(index, 1);
    if (index < this.unsent) this.unsent -= 1;
    return true;
  }

  /** Take note of a marker that came back: whether it is one of our own. */
  isFlow(id) {
    if (!id.startsWith(FLOW)) return false;
    const [position, taken] = id.slice(FLOW.length).split("-").map(Number);
    this.worked = Math.max(this.worked, position);
    while (this.messages.length > 0 && this.messages[0].number <= taken) {
      this.messages.shift();
      if (this.unsent > 0) this.unsent -= 1;
    }
    this.ring.forget(this.rewound);
    return true;
  }

  /** Where a session starts that takes the place of one that is gone: a whole second, so that no clock rounds. */
  get rewound() {
    return Math.max(0, Math.floor((this.worked - REWIND_S * this.rate) / this.rate) * this.rate);
  }

  canGoOnFrom(position) {
    return this.ring.start <= position && position <= this.ring.end;
  }

  restart(position, limits, isResumed) {
    if (!isResumed) {
      // What left evenly arrives in bursts, so a part of what the server allows is left alone.
      this.factor = limits?.max_realtime_factor ?? null;
      this.burstS = Math.max(0.1, 0.9 * (limits?.max_burst_s ?? 0));
      this.leftS = this.burstS;
      this.lastMs = null;
    }
    const bound = Math.floor((limits?.max_frame_bytes ?? 1 << 20) / 2);
    this.longest = Math.max(1, Math.min(Math.round(this.rate * FRAME_MS.most / 1000), bound));
    this.sent = position;
    this.marked = position > this.worked ? position - this.rate : position;
    this.unsent = this.lastNumber = 0;
  }

  putFirst(message, key) {
    this.settle(key);
    this.messages.unshift({ number: 0, position: 0, key, text: JSON.stringify(message) });
  }

  /** The next text or Int16Array; null where none may go, until `pauseMs` has passed if that is set. */
  next(nowMs) {
    this.pauseMs = null;
    const message = this.messages[this.unsent];
    if (message && message.position <= this.sent) {
      this.unsent += 1;
      this.lastNumber = message.number;
      return message.text;
    }
    if (this.sent - this.marked >= this.rate) {
      this.marked = this.sent;
      return JSON.stringify({ type: "Marker", id: `${FLOW}${this.sent}-${this.lastNumber}` });
    }
    const there = (message ? message.position : this.ring.end) - this.sent;
    const least = message ? 1 : Math.floor(this.rate * FRAME_MS.least / 1000);
    if (there < least || this.sent - this.worked >= this.ahead) return null;
    const count = Math.min(there, this.longest);
    const waitS = this.#waitS(count / this.rate, nowMs);
    if (waitS > 0) {
      this.pauseMs = waitS * 1000;
      return null;
    }
    const samples = this.ring.read(this.sent, count);
    this.sent += count;
    return samples;
  }

  #waitS(audioS, nowMs) {
    if (this.factor === null) return 0;
    const passedS = this.lastMs === null ? 0 : (nowMs - this.lastMs) / 1000;
    this.lastMs = nowMs;
    this.leftS = Math.min(this.burstS, this.leftS + passedS * this.factor);
    const missingS = Math.min(audioS, this.burstS) - this.leftS;
    if (missingS > 1e-9) return missingS / this.factor;
    this.leftS -= audioS;
    return 0;
  }
}

// ---- what comes in ----

/** Messages of one session after the other -> those of one stream. Its twin: streaming/client/continuity.py. */
export class Continuity {
  constructor() {
    Object.assign(this, { lastSeq: -1, session: 0, offsetS: 0, anewUntilS: 0, nextSeq: 0, firstSeq: 0, finals: 0 });
    Object.assign(this, { given: [], counted: new Map(), countedBefore: new Map(), repeats: new Set() });
    Object.assign(this, { open: new Set(), speaking: false, lastSpeechS: -1, mapped: [] });
  }

  /** Another session takes the place of the present one; what must be said of that. */
  beginSession(offsetS, anewUntilS) {
    const withdrawn = [...this.open].map((hint_id) =>
      ({ type: "HintRetracted", seq: this.nextSeq++, hint_id, reason: "session_lost" }));
    Object.assign(this, { lastSeq: -1, firstSeq: this.nextSeq, session: this.session + 1, offsetS, anewUntilS });
    this.repeats.clear();
    this.open.clear();
    this.countedBefore = new Map(this.counted);
    return withdrawn;
  }

  /** What the server of the present session calls a hint; null for one of a session that is gone. */
  serverHintId(hintId) {
    if (this.session === 0) return hintId;
    const suffix = `.${this.session}`;
    return hintId.endsWith(suffix) ? hintId.slice(0, -suffix.length) : null;
  }

  /** What the server says -> what the stream says; null where it has said it. */
  take(message) {
    if (message.seq <= this.lastSeq && !(message.type === "Begin" && message.resumed)) return null;
    this.lastSeq = Math.max(this.lastSeq, message.seq);
    const placed = this.#placed(message);
    if (placed === null) return null;
    const seq = this.firstSeq + message.seq;
    this.nextSeq = Math.max(this.nextSeq, seq + 1);
    return { ...placed, seq };
  }

  #placed(message) {
    switch (message.type) {
      case "TermHint": return this.#hint(message);
      case "HintRetracted": {
        if (this.repeats.has(message.hint_id)) return null;
        const hint_id = this.#named(message.hint_id);
        this.open.delete(hint_id);
        return { ...message, hint_id };
      }
      case "Abstain": {
        const moved = this.#moved(message, "start", "end");
        return this.session > 0 && moved.end <= this.anewUntilS ? null : moved;
      }
      case "SpeechStarted": case "SpeechEnded": return this.#speech(this.#moved(message, "timestamp"));
      case "TermMap": return this.#termMap(this.#moved(message, "start", "end"));
      case "Begin": return this.#moved(message, "audio_received_s");
      case "Marker": return this.#moved(message, "audio_processed_s");
      case "GlossaryUpdated": return this.#moved(message, "effective_at");
      case "Lag": return this.#moved(message, "audio_received_s", "audio_processed_s");
      case "Metadata": return this.session === 0 ? message : { ...this.#moved(message, "duration"), hints: this.finals };
      default: return message;
    }
  }

  #hint(message) {
    const moved = this.#moved(message, "start", "end", "emitted");
    if (this.repeats.has(message.hint_id)) return null;
    const before = this.countedBefore.get(message.entry_id) ?? 0;
    if (this.#isRepeat(moved)) {
      this.repeats.add(message.hint_id);
      this.countedBefore.set(message.entry_id, before - 1);
      return null;
    }
    const hint_id = this.#named(message.hint_id);
    this.open.delete(hint_id);
    if (message.is_final) {
      this.finals += 1;
      this.counted.set(message.entry_id, (this.counted.get(message.entry_id) ?? 0) + 1);
      this.given.push({ session: this.session, entry_id: message.entry_id, start: moved.start, end: moved.end });
      if (this.given.length > 1000) this.given.shift();
    } else {
      this.open.add(hint_id);
    }
    const samples = this.offsetS * 16000;
    return {
      ...moved, hint_id, occurrence: message.occurrence + before,
      start_sample: message.start_sample + samples, end_sample: message.end_sample + samples,
    };
  }

  #isRepeat({ entry_id, start, end }) {
    return this.given.some((given) => given.session < this.session && given.entry_id === entry_id
      && start < given.end + REPEATED_WITHIN_S && given.start < end + REPEATED_WITHIN_S);
  }

  #speech(message) {
    const starts = message.type === "SpeechStarted";
    if (this.session > 0 && (starts === this.speaking || message.timestamp <= this.lastSpeechS)) return null;
    Object.assign(this, { speaking: starts, lastSpeechS: message.timestamp });
    return message;
  }

  #termMap(message) {
    const before = this.session > 0 ? this.mapped.filter((given) => given.end > message.start) : [];
    if (before.some((given) => given.end >= message.end)) return null;
    const told = new Set(before.flatMap((given) => given.terms.map(([term]) => term)));
    const kept = { ...message, terms: message.terms.filter(([term]) => !told.has(term)) };
    this.mapped = [...this.mapped.slice(-7), kept];
    return kept;
  }

  #moved(message, ...names) {
    if (this.offsetS === 0) return message;
    const there = names.filter((name) => message[name] !== undefined);
    return { ...message, ...Object.fromEntries(there.map((name) =>
      [name, Math.round((message[name] + this.offsetS) * 1e6) / 1e6])) };
  }

  #named(hintId) {
    return this.session > 0 ? `${hintId}.${this.session}` : hintId;
  }
}

// ---- the stream ----

/** How long connections were tried for before one was given up that would come only after another delay. */
export function triedFor(triedMs, delayMs, giveUpS) {
  if (triedMs >= 50) return `tried for ${(triedMs / 1000).toFixed(1)} s`;
  return `not tried again: the next try, in ${(delayMs / 1000).toFixed(1)} s, is later than the ${giveUpS} s to give up after`;
}

/** The address that asks for a stream. Throws TermCueError for what is no websocket address. */
export function hintsAddress(url, options) {
  let address;
  try {
    address = new URL(url);
  } catch (error) {
    throw new TermCueError("bad_address", `${url} is no address: give wss://HOST:PORT${HINTS_PATH}.`, error);
  }
  if (!["ws:", "wss:"].includes(address.protocol)) {
    throw new TermCueError("bad_address", `${url} is no websocket address: give wss://HOST:PORT${HINTS_PATH}.`);
  }
  address.pathname = address.pathname.replace(/\/+$/, "") || HINTS_PATH;
  const asked = {
    glossary: options.glossary, version: options.version, profile: options.profile,
    source_lang: options.sourceLang, target_lang: options.targetLang, encoding: "linear16", channels: 1,
    sample_rate: options.sampleRate, interim_hints: options.interimHints, vad_events: options.vadEvents,
    abstain_events: options.abstainEvents,
  };
  for (const [key, value] of Object.entries(asked)) {
    if (value !== undefined && value !== null) address.searchParams.set(key, String(value));
  }
  return address;
}

/**
 * One stream of audio to a server, and what the server says of it, as events.
 *
 * Events: each message by its type ("TermHint", "HintRetracted", "Begin", ...) and as "message"; "state" with
 * {state: "connecting" | "open" | "waiting" | "closed", message}; "lost_audio" with {seconds}; "failed" with a TermCueError.
 */
export class HintStream extends EventTarget {
  #outgoing;
  #continuity = new Continuity();
  #socket = null;
  #token = null;
  #sessionStart = 0;
  #hasBegun = false;
  #isOpen = false;
  #isClosing = false;
  #isOver = false;
  #timer = null;
  #tries = 0;
  #lostAtMs = null;
  #workedWhenLost = -1;
  #begunAtMs = Infinity;
  #sentAtMs = 0;
  #heardAtMs = 0;
  #keepAliveMs;
  #wishes = {};
  #muted;
  #asked = new Map();
  #requests = 0;

  /**
   * @param {string} url ws:// or wss://
   * @param {object} options glossary, sampleRate; version, profile, threshold, falseHintsPerHour, muteEntries (ids of entries without hints),
   *   sourceLang, targetLang, interimHints, vadEvents, abstainEvents; `key`, or `getToken`, a function that fetches a token for each connection; aheadS, ringS,
   *   giveUpS, keepAliveS
   */
  constructor(url, options) {
    super();
    this.options = { aheadS: 5, ringS: 60, giveUpS: 120, keepAliveS: 10, ...options };
    if (!(options.sampleRate >= 8000 && options.sampleRate <= 192000)) {
      throw new TermCueError("bad_setting", `sampleRate = ${options.sampleRate}: give 8000 to 192000.`);
    }
    this.address = hintsAddress(url, this.options);
    this.#outgoing = new Outgoing(options.sampleRate, this.options.aheadS, this.options.ringS);
    this.#keepAliveMs = this.options.keepAliveS * 1000;
    if (options.threshold !== undefined) this.#wishes.threshold = options.threshold;
    else if (options.falseHintsPerHour !== undefined) this.#wishes.false_hints_per_hour = options.falseHintsPerHour;
    this.#muted = new Set(options.muteEntries);
    if (this.#muted.size > 0) this.#wishes.mute_entries = [...this.#muted];
    // Whoever made the stream may listen first.
    queueMicrotask(() => this.#connect());
  }

  /** Send s16le mono (ArrayBuffer or Int16Array) at the rate of the options. Never waits. */
  sendAudio(pcm) {
    if (this.#isOver || this.#isClosing) return;
    const lost = this.#outgoing.addAudio(pcm instanceof Int16Array ? pcm : new Int16Array(pcm));
    if (lost > 0) this.#emit("lost_audio", { seconds: lost / this.options.sampleRate });
    this.#pump();
  }

  /** Change profile, threshold, false_hints_per_hour, max_hints_per_window, glossary, version or mute_entries; resolves to `Configured`. */
  configure(changes) {
    if (this.#isOver || this.#isClosing) return Promise.reject(this.#overError());
    const request_id = `c${++this.#requests}`;
    this.#outgoing.add({ type: "Configure", request_id, ...changes }, request_id);
    this.#pump();
    return new Promise((resolve, reject) => this.#asked.set(request_id, { resolve, reject, changes }));
  }

  /** Show no hints for these entries, or (`muted` false) show them again; resolves to `Configured`. */
  mute(entryIds, muted = true) {
    const before = this.#muted;
    const changed = new Set(before);
    for (const id of entryIds) muted ? changed.add(id) : changed.delete(id);
    // Known at once: whoever mutes the next one while the server has not answered means both.
    this.#muted = changed;
    return this.configure({ mute_entries: [...changed] }).catch((error) => {
      if (this.#muted === changed) this.#muted = before;
      throw error;
    });
  }

  /** Have the server decide on all audio so far; its `Marker` "finalize" follows the hints. */
  finalize() {
    this.#say({ type: "Finalize" }, "finalize");
  }

  /** Tell the server whether a hint was "right" or "wrong". */
  feedback(hintId, verdict, note) {
    const hint_id = this.#continuity.serverHintId(hintId);
    if (hint_id !== null) this.#say({ type: "Feedback", hint_id, verdict, ...(note ? { note } : {}) });
  }

  /** The audio is over: the last hints, "Metadata" and the state "closed" follow. */
  close() {
    this.#say({ type: "CloseStream" });
    this.#isClosing = true;
  }

  /** End at once. */
  abort() {
    this.#end(null);
  }

  #say(message, key) {
    if (this.#isOver || this.#isClosing) return;
    this.#outgoing.add(message, key);
    this.#pump();
  }

  async #connect() {
    this.#state("connecting", "");
    const address = new URL(this.address);
    if (this.#token !== null) {
      address.searchParams.set("resume", this.#token);
      address.searchParams.set("last_seq", String(this.#continuity.lastSeq));
    }
    try {
      if (this.options.getToken) address.searchParams.set("token", await this.options.getToken());
    } catch (error) {
      this.#lost({ reason: `no token for a connection: ${error.message}` });
      return;
    }
    if (this.#isOver) return;
    const socket = this.options.key ? new WebSocket(address, ["token", this.options.key]) : new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let fatal = null;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heardAtMs = performance.now();
      try {
        const message = JSON.parse(data);
        if (message.type === "Error" && message.fatal) {
          fatal = message;
          socket.close();
          this.#lost({ error: fatal });
        } else {
          this.#receive(message);
        }
      } catch (error) {
        this.#end(error instanceof TermCueError ? error : new TermCueError("protocol", `${error.message}`, error));
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost({ code, reason });
    };
  }

  #receive(message) {
    if (message.type === "Begin" && !this.#greet(message)) return;
    const placed = this.#continuity.take(message);
    if (placed !== null && this.#answers(placed)) this.#tell(placed);
    if (message.type === "Metadata") this.#end(null);
    this.#pump();
  }

  #greet(begin) {
    if (begin.protocol !== PROTOCOL) {
      throw new TermCueError("protocol", `The server speaks protocol ${begin.protocol}, this page ${PROTOCOL}: reload it.`);
    }
    const rate = this.options.sampleRate;
    let position;
    if (begin.resumed) {
      position = this.#sessionStart + begin.audio_received_frames;
      if (!this.#outgoing.canGoOnFrom(position)) {
        this.#token = null;
        this.#socket.close();
        this.#lost({ reason: "the audio that the server wants again is gone" });
        return false;
      }
    } else {
      position = this.#sessionStart = this.#outgoing.rewound;
      if (this.#hasBegun) {
        const worked = this.#outgoing.worked / rate;
        for (const message of this.#continuity.beginSession(position / rate, worked)) this.#tell(message);
      }
      if (Object.keys(this.#wishes).length > 0) {
        this.#outgoing.putFirst({ type: "Configure", request_id: WISH_ID, ...this.#wishes }, WISH_ID);
      }
    }
    this.#outgoing.restart(position, begin.limits, Boolean(begin.resumed));
    this.#token = begin.resume_token ?? (begin.resumed ? this.#token : null);
    this.#keepAliveMs = Math.min(this.options.keepAliveS, (begin.limits?.idle_timeout_s ?? 30) / 3) * 1000;
    this.#begunAtMs = this.#sentAtMs = performance.now();
    this.#isOpen = true;
    this.#state("open", begin.resumed ? "The connection is back." : this.#hasBegun
      ? "The connection is back; the server begins anew." : "");
    this.#hasBegun = true;
    return true;
  }

  /** Settle what a message answers: whether it is to be told. */
  #answers(message) {
    const key = message.request_id;
    if (message.type === "Marker") {
      return !this.#outgoing.isFlow(message.id) && (message.id !== "finalize" || this.#outgoing.settle("finalize"));
    }
    if ((message.type !== "Configured" && message.type !== "Error") || key === undefined) return true;
    const isAsked = this.#outgoing.settle(key);
    if (key === WISH_ID) return message.type === "Error";
    const asked = this.#asked.get(key);
    this.#asked.delete(key);
    if (asked && message.type === "Configured") {
      const { profile, threshold, false_hints_per_hour } = asked.changes;
      if (profile !== undefined) delete this.#wishes.max_hints_per_window;
      if ([profile, threshold, false_hints_per_hour].some((each) => each !== undefined)) {
        delete this.#wishes.threshold;
        delete this.#wishes.false_hints_per_hour;
      }
      if (asked.changes.glossary !== undefined) delete this.#wishes.version;
      if (asked.changes.mute_entries !== undefined) this.#muted = new Set(asked.changes.mute_entries);
      Object.assign(this.#wishes, asked.changes);
      asked.resolve(message);
    } else if (asked) {
      asked.reject(new TermCueError(message.code, message.message));
    }
    return isAsked;
  }

  /** Send what may go, and come back when more may. */
  #pump() {
    // While there is no connection the timer is the one that makes it.
    if (!this.#isOpen) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const { sent, worked, rate } = this.#outgoing;
    if (sent - worked > rate && nowMs - this.#heardAtMs > SILENT_MS) {
      this.#socket.close();
      this.#lost({ reason: "the server is silent" });
      return;
    }
    for (let frame; (frame = this.#outgoing.next(nowMs)) !== null;) this.#send(frame);
    const idleMs = this.#keepAliveMs - (nowMs - this.#sentAtMs);
    if (idleMs <= 0) this.#send(JSON.stringify({ type: "KeepAlive" }));
    const waitMs = Math.max(1, idleMs > 0 ? idleMs : this.#keepAliveMs);
    this.#timer = setTimeout(() => this.#pump(), Math.min(waitMs, this.#outgoing.pauseMs ?? waitMs));
  }

  #send(frame) {
    this.#socket.send(frame);
    this.#sentAtMs = performance.now();
  }

  #lost({ error, code, reason }) {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#socket = null;
    this.#isOpen = false;
    const cause = error?.close_code ?? code;
    const why = error?.message ?? (reason || `the connection broke (${code ?? "no code"})`);
    // A browser does not tell a refused handshake from an absent server; the first is not asked twice.
    const isFirst = !this.#hasBegun && !error;
    if (NEVER.has(cause) || isFirst) {
      this.#fail(error, isFirst ? `The server cannot be reached, or refuses this page: ${why}` : why);
      return;
    }
    const nowMs = performance.now();
    if (this.#outgoing.worked > this.#workedWhenLost || nowMs - this.#begunAtMs >= 10000) {
      this.#tries = 0;
      this.#lostAtMs = nowMs;
      this.#workedWhenLost = this.#outgoing.worked;
    }
    const backoffMs = Math.min(8000, 250 * 2 ** this.#tries) * (0.5 + Math.random() / 2);
    const delayMs = cause === 4410 ? 0 : Math.max(backoffMs, (error?.retry_after_s ?? 0) * 1000);
    if (cause !== 4410) this.#tries += 1;
    if (SESSION_GONE.has(cause)) this.#token = null;
    if (nowMs + delayMs - this.#lostAtMs > this.options.giveUpS * 1000) {
      this.#fail(error, `${why} (${triedFor(nowMs - this.#lostAtMs, delayMs, this.options.giveUpS)})`);
      return;
    }
    this.#begunAtMs = Infinity;
    if (delayMs > 0) this.#state("waiting", `${why}; trying again in ${(delayMs / 1000).toFixed(1)} s`);
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }

  #fail(error, why) {
    if (error) this.#tell({ ...error, seq: this.#continuity.nextSeq });
    this.#end(new TermCueError(error?.code ?? "connection_lost", why));
  }

  #end(error) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const { reject } of this.#asked.values()) reject(error ?? this.#overError());
    this.#asked.clear();
    if (error) this.#emit("failed", error);
    this.#state("closed", error?.message ?? "");
  }

  #overError() {
    return new TermCueError("connection_lost", "The stream is over: open another one.");
  }

  #tell(message) {
    this.#emit(message.type, message);
    this.#emit("message", message);
  }

  #state(state, message) {
    this.#emit("state", { state, message });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
