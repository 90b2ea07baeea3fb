/** The last seconds of a session drawn on a canvas: waveform, speech, hints, and where none was given. */

const SHOWN_S = 30;
// Why no hint was given, each with its own height on the lane, so that colour is not all that tells them apart.
const REASONS = { below_threshold: ["warn", 6], refractory: ["speech", 2], no_candidate: ["line", 2], muted: ["accent", 4] };

/** The loudness of the last seconds, one number a frame. */
export class Waveform {
  constructor() {
    this.levels = [];
  }

  add(level, atS) {
    this.levels.push({ level, atS });
    while (this.levels.length > 0 && this.levels[0].atS < atS - SHOWN_S - 1) this.levels.shift();
  }
}

/** Draw everything that lies within the last seconds before `nowS`. */
export function drawTimeline(canvas, { waveform, log, nowS, threshold }) {
  const scale = globalThis.devicePixelRatio ?? 1;
  const width = canvas.clientWidth, height = 220;
  if (width === 0) return;
  Object.assign(canvas, { width: width * scale, height: height * scale });
  const pen = canvas.getContext("2d");
  const colour = colours(canvas);
  pen.scale(scale, scale);
  pen.font = "13px system-ui, sans-serif";
  const startS = Math.max(0, nowS - SHOWN_S);
  const x = (seconds) => (seconds - startS) / SHOWN_S * width;
  drawGrid(pen, { startS, x, height, colour });
  drawWave(pen, { waveform, x, colour });
  drawSpeech(pen, { log, startS, nowS, x, colour });
  drawScores(pen, { log, startS, x, colour, threshold, width });
  drawHints(pen, { log, startS, x, colour });
}

function colours(canvas) {
  const style = getComputedStyle(canvas);
  return (name) => style.getPropertyValue(`--tc-${name}`).trim();
}

function drawGrid(pen, { startS, x, height, colour }) {
  pen.fillStyle = colour("soft");
  pen.strokeStyle = colour("line");
  for (let second = Math.ceil(startS / 5) * 5; second <= startS + SHOWN_S; second += 5) {
    pen.beginPath(); pen.moveTo(x(second), 0); pen.lineTo(x(second), height - 18); pen.stroke();
    pen.fillText(`${second} s`, x(second) + 3, height - 4);
  }
}

function drawWave(pen, { waveform, x, colour }) {
  pen.fillStyle = colour("wave");
  for (const { level, atS } of waveform.levels) {
    const tall = Math.min(1, Math.sqrt(level * 3)) * 30;
    pen.fillRect(x(atS), 34 - tall, 1.5, Math.max(1, tall * 2));
  }
}

function drawSpeech(pen, { log, startS, nowS, x, colour }) {
  pen.fillStyle = colour("speech");
  for (const { start, end } of log.speech) {
    if ((end ?? nowS) >= startS) pen.fillRect(x(start), 67, Math.max(2, x(end ?? nowS) - x(start)), 6);
  }
}

function drawScores(pen, { log, startS, x, colour, threshold, width }) {
  const y = (score) => 130 - score * 46;
  for (const mark of log.marks) {
    if (mark.end < startS) continue;
    const [name, tall] = reasonShown(mark.reason);
    pen.fillStyle = colour(name);
    pen.fillRect(x(mark.start), 82 - tall, Math.max(1, x(mark.end) - x(mark.start) - 0.5), tall);
    pen.fillStyle = colour("soft");
    pen.fillRect(x((mark.start + mark.end) / 2) - 1.5, y(mark.best_score) - 1.5, 3, 3);
  }
  if (threshold === undefined) return;
  pen.strokeStyle = colour("accent");
  pen.setLineDash([4, 4]);
  pen.beginPath(); pen.moveTo(0, y(threshold)); pen.lineTo(width, y(threshold)); pen.stroke();
  pen.setLineDash([]);
}

/** The colour and the height in which a reason is shown. */
export function reasonShown(reason) {
  return REASONS[reason] ?? ["soft", 4];
}

function drawHints(pen, { log, startS, x, colour }) {
  const free = [-Infinity, -Infinity, -Infinity];
  for (const hint of log.hints.slice(-40)) {
    if (hint.end < startS) continue;
    const left = Math.max(0, x(hint.start));
    const lane = free.findIndex((until) => until <= left);
    const top = 138 + Math.max(0, lane) * 20;
    pen.fillStyle = colour("accent");
    pen.fillRect(left, top, Math.max(3, x(hint.end) - left), 4);
    // Where all lanes are full its mark must do: words over words cannot be read.
    if (lane < 0) continue;
    pen.fillStyle = colour("text");
    const text = `${hint.term} ${hint.score.toFixed(2)}`;
    pen.fillText(text, left, top + 16);
    free[lane] = left + pen.measureText(text).width + 8;
  }
}
