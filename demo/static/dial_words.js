/** What a setting of the dial means, in a sentence. Pure. */

/** @param stop {per_hour, threshold, recall, terms}; the last two are null where a model was never measured. */
export function sayStop({ per_hour: perHour, threshold, recall, terms }) {
  const asked = `About ${perHour} false hints an hour of speech: a hint needs a probability of ${threshold.toFixed(3)} to begin with, then what the voice needs.`;
  if (!recall) return `${asked} How many of the terms said are found was not measured for this model.`;
  const [hardest, easiest] = recall.map((share) => `${Math.round(share * 100)} %`);
  const held = terms[0] === terms[1] ? `${terms[0]} terms` : `${terms[0]} to ${terms[1]} terms`;
  return `${asked} Of the terms said, expect ${hardest} to ${easiest}: of the hardest and the easiest speech that the model was `
    + `measured on, with ${held}; between the measured points it is interpolated.`;
}
