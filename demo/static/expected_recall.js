/** The recall that a number of false hints an hour is expected to leave. Pure. */

// Measured with 300 terms, calibrated on other voices: the table "How well it works" of README.md, the
// native readers of novels and the 13 learners never heard.
const MEASURED = [
  { perHour: 12, native: 0.88, learner: 0.55 },
  { perHour: 60, native: 0.93, learner: 0.77 },
  { perHour: 300, native: 0.98, learner: 0.84 },
];

/** {native, learner}, each 0..1; between the measured points on a logarithmic scale, outside them the nearest. */
export function expectedRecall(perHour) {
  const above = MEASURED.findIndex((point) => point.perHour >= perHour);
  if (above === 0) return MEASURED[0];
  if (above < 0) return MEASURED[MEASURED.length - 1];
  const [low, high] = [MEASURED[above - 1], MEASURED[above]];
  const share = Math.log(perHour / low.perHour) / Math.log(high.perHour / low.perHour);
  const between = (name) => low[name] + share * (high[name] - low[name]);
  return { native: between("native"), learner: between("learner") };
}
