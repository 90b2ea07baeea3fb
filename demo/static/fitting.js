/** Letters as large as their cell allows: a long word is made smaller before it is broken. */

const LEAST = 0.6;
let pen = null;

/** The share of the full size at which a text of that width fits; under the least it is broken into lines. Pure. */
export function shareOf(textWidth, cellWidth) {
  return textWidth <= cellWidth || cellWidth <= 0 ? 1 : Math.max(LEAST, cellWidth / textWidth);
}

/** Set --fit of a cell. Measures without touching the layout of the row. */
export function fit(cell) {
  const key = `${cell.textContent} ${cell.clientWidth} ${innerWidth} ${innerHeight} ${cell.closest(".booth").style.cssText}`;
  if (cell.fitted === key) return;
  cell.style.setProperty("--fit", "1");
  const style = getComputedStyle(cell);
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  // A hair less than the cell, as fonts are drawn a little wider than they measure.
  cell.style.setProperty("--fit", String(shareOf(pen.measureText(cell.textContent).width, cell.clientWidth * 0.97)));
  cell.fitted = key;
}
