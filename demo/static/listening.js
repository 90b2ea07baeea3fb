/** One session: a source of sound on one side, a stream to the server on the other, the board and the log between. */
import { AudioRing, HintStream } from "../client.js";
import { silenceNotice } from "./banners.js";
import { cutOf } from "./judged.js";

// A hint that comes later helps nobody who is speaking (3 s are still accepted: arXiv 2201.02792).
const LATE_S = 3;
const KEPT_S = 60;
const GOODBYE_MS = 5000;
const STALLED_MS = 3000;
const DEVICE_LOST = "No more sound: the device was pulled out, the shared tab was closed, or the permission was taken back. "
  + "Choose what is heard and press Start.";
// Said by the banner of the lag, which goes when the server has caught up.
const TOLD_BY_LAG = new Set(["degraded_hop", "restored_hop"]);

export class Listening extends EventTarget {
  #silence = { speechS: 0, loudest: 0, isSpeaking: false };
  #samples = 0;
  #isEnding = false;
  #isOver = false;
  #wasLost = false;
  #frameAtMs = performance.now();

  /**
   * Events: "changed" whenever something is to be drawn, "level" with {level}, "over" at the end.
   * @param {object} parts source, stream options, and what is told: banners, board, log, judged (a Map), lexicon (a function
   *   that gives the one in use)
   */
  constructor({ source, address, options, banners, board, log, judged, lexicon }) {
    super();
    Object.assign(this, { source, banners, board, log, judged, lexicon, state: "connecting", effective: {} });
    this.lang = options.targetLang ?? "";
    this.ring = new AudioRing();
    this.stream = new HintStream(address, {
      sampleRate: source.sampleRate, vadEvents: true, abstainEvents: true,
      // A file waits for the server as a whole; of what is said live a minute is kept.
      ringS: source.isLive ? KEPT_S : Math.max(KEPT_S, source.seconds + 10), ...options,
    });
    this.stream.addEventListener("message", ({ detail }) => this.#message(detail));
    this.stream.addEventListener("state", ({ detail }) => this.#state(detail));
    this.stream.addEventListener("failed", ({ detail }) => banners.say("failed", "error", detail.message));
    this.stream.addEventListener("lost_audio", ({ detail }) => this.#lostAudio(detail.seconds));
  }

  /** Hear; whoever wants its events listens before. */
  begin() {
    this.source.run({ onFrame: (pcm, level) => this.#frame(pcm, level), onEnded: (error) => this.#ended(error) });
  }

  /** Seconds of sound so far. */
  get seconds() {
    return this.#samples / this.source.sampleRate;
  }

  /** Stop; the last hints still come, if they come soon. */
  async stop() {
    this.#isEnding = true;
    await this.source.stop();
    if (this.state !== "open") {
      this.stream.abort();
      return;
    }
    this.stream.close();
    setTimeout(() => this.stream.abort(), GOODBYE_MS);
  }

  /** Tell the server what the listener thinks of a hint, and keep the sound around it, also when the session is over. */
  judge(verdict, hintId) {
    const hint = this.log.hints.findLast((each) => each.hint_id === hintId);
    if (!hint) return;
    this.stream.feedback(hintId, verdict);
    const { startS, endS } = cutOf(hint);
    const rate = this.source.sampleRate;
    if (this.ring.start > hint.start * rate) {
      this.banners.say("judged", "note", `The sound of "${hint.term}" is gone after a minute: this judgement makes no training row.`, 8);
      return;
    }
    const from = Math.max(this.ring.start, Math.round(startS * rate));
    const samples = this.ring.read(from, Math.round(endS * rate) - from);
    this.judged.set(hintId, { hint, verdict, samples, sampleRate: rate, startS: from / rate });
  }

  /** Say every so often what is missing; the page calls it once a second. */
  tick() {
    if (!this.source.isLive || this.#isEnding) return;
    const isStalled = performance.now() - this.#frameAtMs > STALLED_MS;
    if (isStalled) {
      this.source.wake?.();
      this.banners.say("stalled", "error", "No sound comes from the device: another program, a call or the sleep of this machine "
        + "has taken it. If it does not come back by itself, press Stop and Start.");
    } else {
      this.banners.clear("stalled");
    }
    if (this.state !== "open" || isStalled) return;
    const { speechS, loudest, isSpeaking } = this.#silence;
    const said = silenceNotice({ sinceSpeechS: this.seconds - speechS, loudest, isSpeaking, isRecording: this.source.isRecording });
    if (said) this.banners.say("silence", "warning", said); else this.banners.clear("silence");
  }

  #frame(pcm, level) {
    if (this.#isOver) return;
    this.#frameAtMs = performance.now();
    this.#samples += pcm.length;
    this.#silence.loudest = Math.max(this.#silence.loudest, level);
    this.ring.append(pcm);
    this.ring.forget(this.ring.end - KEPT_S * this.source.sampleRate);
    this.stream.sendAudio(pcm);
    this.dispatchEvent(new CustomEvent("level", { detail: { level, atS: this.seconds } }));
  }

  #ended(error) {
    this.#isEnding = true;
    if (error) this.banners.say("failed", "error", error.code === "device_lost" ? DEVICE_LOST : error.message);
    // However far behind the server is, it may finish.
    this.stream.close();
  }

  #message(message) {
    const translations = message.type === "TermHint" ? this.lexicon().of(message, this.lang) : {};
    this.log.take(message, translations);
    switch (message.type) {
      case "Begin": this.effective = { threshold: message.threshold, profile: message.profile }; break;
      case "Configured": this.effective = message.effective; break;
      case "TermHint": this.#hint(message, translations); break;
      case "HintRetracted": this.board.retract(message.hint_id); break;
      case "SpeechStarted": case "SpeechEnded":
        this.#silence = { speechS: message.timestamp, loudest: 0, isSpeaking: message.type === "SpeechStarted" };
        break;
      case "Lag": this.#lag(message); break;
      case "Warning": if (!TOLD_BY_LAG.has(message.code)) this.banners.say(`warning-${message.code}`, "warning", message.message, 20); break;
      case "Error": if (!message.fatal) this.banners.say(`error-${message.code}`, "warning", message.message, 20); break;
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
    this.dispatchEvent(new Event("changed"));
  }

  #hint(message, translations) {
    const isLate = this.source.isLive && this.seconds - message.end > LATE_S;
    this.board.hint(message, translations, performance.now() / 1000, isLate);
    if (isLate) {
      this.banners.say("late", "warning", "Hints come too late to help: they go to the history until the server has caught up.", 10);
    }
  }

  #lag(message) {
    if (message.state === "ok") {
      this.banners.clear("lag");
    } else {
      const cost = message.state === "skipping" ? "it leaves speech out" : "hints come less often";
      this.banners.say("lag", "warning", `The server is ${message.lag_s.toFixed(1)} s behind; ${cost}.`);
    }
  }

  #lostAudio(seconds) {
    this.log.lostS += seconds;
    this.banners.say("lost", "warning", `The connection was away for too long: ${this.log.lostS.toFixed(0)} s of sound were not heard.`);
  }

  #state({ state, message }) {
    this.state = state;
    if (state === "waiting") {
      this.#wasLost = true;
      this.banners.say("connection", "error", `The connection is lost (${message}). What is said meanwhile is kept.`);
    } else if (state === "open") {
      // The state of the machine is told anew by the session that goes on.
      this.banners.clear("lag");
      if (this.#wasLost) {
        this.log.reconnections += 1;
        this.banners.say("connection", "good", message || "The connection is back.", 6);
      }
      this.#wasLost = false;
    } else if (state === "closed" && !this.#isOver) {
      this.#isOver = true;
      for (const name of ["silence", "stalled", "lag", "connection"]) this.banners.clear(name);
      this.source.stop();
      this.dispatchEvent(new Event("over"));
    }
    this.dispatchEvent(new Event("changed"));
  }
}
