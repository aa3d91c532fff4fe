// The box beside the cursor of a chart.
import { element } from "./dom.js";

/** A decision counts as pointed at when the cursor is within so many pixels of it. */
const NEAR_PX = 7;
const MARGIN_PX = 12;

/** Shows what `tell(index, nearUs)` says of the tick under the cursor; hidden in charts that only follow another's. */
export function placeTooltip(plot, box, tell) {
  const { idx, left } = plot.cursor;
  const shown = idx !== null && idx !== undefined && left >= 0 && plot.over.matches(":hover");
  box.hidden = !shown;
  if (!shown) return;
  const nearUs = (plot.posToVal(left + NEAR_PX, "x") - plot.posToVal(left, "x")) * 1e6;
  const { title, rows, sentences } = tell(idx, nearUs);
  box.replaceChildren(
    element("p", { class: "tooltip-title" }, title),
    ...rows.map(rowOf),
    ...sentences.map((text) => element("p", { class: "tooltip-sentence" }, text)),
  );
  const onRight = left < plot.over.clientWidth / 2;
  const x = onRight ? left + MARGIN_PX : left - MARGIN_PX - box.offsetWidth;
  const furthest = Math.max(0, plot.over.clientWidth - box.offsetWidth);
  box.style.transform = `translate(${Math.max(0, Math.min(x, furthest))}px, 4px)`;
}

const rowOf = ({ swatch, name, value }) =>
  element("p", { class: "tooltip-row" }, swatchOf(swatch), element("span", {}, name), element("b", {}, value));

/** A patch of a series' color; its name always stands beside it. */
export const swatchOf = (name) => element("i", { class: `swatch ${name}`, "aria-hidden": "true" });
