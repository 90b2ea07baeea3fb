/** What a setting of the dial means, in a sentence. Pure. */

/** @param stop {per_hour, threshold, recall, terms, measured_at}; the last three are null where a model was never measured. */
export function sayStop({ per_hour: perHour, threshold, recall, terms, measured_at: measuredAt }) {
  const asked = `About ${perHour} false hints an hour of speech: a hint needs a probability of ${threshold.toFixed(3)} to begin with, then what the voice needs.`;
  if (!recall) return `${asked} How many of the terms said are found was not measured for this model.`;
  const [hardest, easiest] = recall.map((share) => `${Math.round(share * 100)} %`);
  const held = terms[0] === terms[1] ? `${terms[0]} terms` : `${terms[0]} to ${terms[1]} terms`;
  const found = perHour < measuredAt ? `fewer than at ${measuredAt} an hour, the lowest that was measured, where it is ${hardest} to ${easiest}`
    : perHour > measuredAt ? `at least as many as at ${measuredAt} an hour, the highest that was measured, where it is ${hardest} to ${easiest}`
    : `${hardest} to ${easiest}`;
  return `${asked} Of the terms said, expect ${found}: of the hardest and the easiest speech that the model was `
    + `measured on, with ${held}; between the measured points it is interpolated.`;
}
