/**
 * Where sound comes from, each in the same way: s16le frames at one rate, with their level, until it stops or ends.
 *
 * A source is {sampleRate, isLive, isRecording, seconds, run({onFrame, onEnded}), stop()}; `onFrame(Int16Array, level)`,
 * level 0..1. A device has `wake()` too, for when its frames stay away.
 */
import { Capture, openDisplaySound, openMicrophone } from "../client.js";

const FRAME_S = 0.04;
const FILE_RATE = 16000;
// A fast source gives this much at a time, so that the page still answers.
const FAST_S = 2;

/** A microphone, by its id ("" for the usual one), or the sound of a tab or screen. Throws TermCueError. */
export async function captured(kind, deviceId) {
  const media = kind === "tab" ? await openDisplaySound() : await openMicrophone({ deviceId });
  const heard = { onFrame: () => {}, onEnded: () => {} };
  let level = 0;
  const capture = await Capture.start(media, {
    // A level comes just before its frame.
    onLevel: (value) => { level = value; },
    onFrame: (pcm) => heard.onFrame(new Int16Array(pcm), level),
    onEnded: (error) => heard.onEnded(error),
  });
  return {
    sampleRate: capture.sampleRate, isLive: true, isRecording: false, seconds: Infinity, label: media.getAudioTracks()[0].label,
    run: (listener) => Object.assign(heard, listener),
    // A call on a phone, or its sleep, may have put the context to rest.
    wake: () => capture.context.resume().catch(() => {}),
    stop: () => capture.stop(),
  };
}

/** The bytes of an audio file as 16 kHz mono. Throws an Error in plain words. */
export async function decoded(bytes) {
  try {
    const sound = await new OfflineAudioContext(1, 1, FILE_RATE).decodeAudioData(bytes);
    const channels = Array.from({ length: sound.numberOfChannels }, (_, at) => sound.getChannelData(at));
    const samples = Int16Array.from(channels[0], (_, at) => {
      const mean = channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length;
      return Math.max(-1, Math.min(1, mean)) * 0x7fff;
    });
    return { samples, sound };
  } catch (error) {
    throw new Error("This file is no sound that the browser can read: give WAV, FLAC, MP3, Ogg or M4A.", { cause: error });
  }
}

/** A decoded file, at the pace of speech or as fast as it goes; `isAudible` plays it too. */
export function recorded({ samples, sound }, { isFast = false, isAudible = false } = {}) {
  let timer = null, context = null;
  const frame = Math.round(FRAME_S * FILE_RATE);
  return {
    sampleRate: FILE_RATE, isLive: !isFast, isRecording: true, seconds: samples.length / FILE_RATE, label: "a recording",
    run({ onFrame, onEnded }) {
      if (isAudible && !isFast) context = played(sound);
      const begunMs = performance.now();
      let at = 0;
      const step = () => {
        // By the clock and not by the calls: a page in the background is called once a second.
        const due = isFast ? at + FAST_S * FILE_RATE : (performance.now() - begunMs) / 1000 * FILE_RATE;
        while (at < samples.length && at < due) {
          const piece = samples.slice(at, at + frame);
          onFrame(piece, levelOf(piece));
          at += frame;
        }
        if (at < samples.length) timer = setTimeout(step, isFast ? 0 : FRAME_S * 1000);
        else onEnded(null);
      };
      step();
    },
    async stop() {
      clearTimeout(timer);
      await context?.close();
    },
  };
}

function played(sound) {
  const context = new AudioContext();
  const source = new AudioBufferSourceNode(context, { buffer: sound });
  source.connect(context.destination);
  source.start();
  return context;
}

/** Root mean square of s16le samples, 0..1. */
export function levelOf(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length) / 0x8000;
}

/** Samples of any rate at 16 kHz. */
export async function at16k(samples, sampleRate) {
  const context = new OfflineAudioContext(1, Math.max(1, Math.round(samples.length / sampleRate * FILE_RATE)), FILE_RATE);
  const buffer = new AudioBuffer({ length: Math.max(1, samples.length), sampleRate });
  buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 0x8000), 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  const rendered = await context.startRendering();
  return Int16Array.from(rendered.getChannelData(0), (value) => Math.max(-1, Math.min(1, value)) * 0x7fff);
}
