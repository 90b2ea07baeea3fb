// Streams s16le at 16 kHz from standard input to the server named in the arguments; prints each event as a line of JSON.
import { HintStream } from "../../../streaming/browser/termcue.js";

const [url, options] = [process.argv[2], JSON.parse(process.argv[3])];
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const pcm = new Uint8Array(Buffer.concat(chunks)).buffer;
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const stream = new HintStream(url, { glossary: "tones", targetLang: "de", sampleRate: 16000, ...options });
stream.addEventListener("message", ({ detail }) => print(detail));
stream.addEventListener("state", ({ detail }) => print({ type: "state", ...detail }));
stream.addEventListener("failed", ({ detail }) => print({ type: "failed", code: detail.code, message: detail.message }));
if (options.configure) {
  stream.configure(options.configure).then(
    ({ effective }) => print({ type: "effective", effective }),
    ({ code }) => print({ type: "refused", code }),
  );
}
if (options.mute) {
  stream.mute(options.mute);
  stream.mute(options.mute.slice(0, 1), false).then(({ effective }) => print({ type: "effective", effective }));
}
for (let start = 0; start < pcm.byteLength; start += 1280) {
  stream.sendAudio(pcm.slice(start, start + 1280));
  // A microphone goes on while there is no connection.
  if (options.paceMs) await new Promise((resolve) => setTimeout(resolve, options.paceMs));
}
stream.close();
