/** Letters as large as their cell allows: a long text is made smaller before it is broken into two lines, then three. */

const LEAST = 0.6;
// As high as two lines of the least size.
const LEAST_OF_THREE = 0.42;
// So much of two lines is filled where words are not broken.
const FILLED = 1.6;
let pen = null;

/** The share of the full size at which a text of that width fits, and the lines it may take then. Pure. */
export function fitOf(textWidth, cellWidth) {
  if (textWidth <= cellWidth || cellWidth <= 0) return { share: 1, lines: 2 };
  if (textWidth * LEAST > FILLED * cellWidth) return { share: LEAST_OF_THREE, lines: 3 };
  return { share: Math.max(LEAST, cellWidth / textWidth), lines: 2 };
}

/** Set --fit and --lines of a cell. Measures without touching the layout of the row. */
export function fit(cell) {
  const key = `${cell.textContent} ${cell.clientWidth} ${innerWidth} ${innerHeight} ${cell.closest(".booth").style.cssText}`;
  if (cell.fitted === key) return;
  cell.style.setProperty("--fit", "1");
  const style = getComputedStyle(cell);
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  // A hair less than the cell, as fonts are drawn a little wider than they measure.
  const { share, lines } = fitOf(pen.measureText(cell.textContent).width, cell.clientWidth * 0.97);
  cell.style.setProperty("--fit", String(share));
  cell.style.setProperty("--lines", String(lines));
  cell.fitted = key;
}
