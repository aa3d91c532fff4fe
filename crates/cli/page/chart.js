// A time chart on uPlot: fixed time range, colors out of the style sheet, gaps where there is no data, a tooltip, a
// label for those who do not see it. What it shows is given by the two charts made of it.
import { element, setAttribute } from "./dom.js";
import { hourAndMinute, timeOfDay } from "./format.js";
import { placeTooltip } from "./tooltip.js";

const uPlot = globalThis.uPlot;
/** Room for the figures on each side, the same in all charts and beside the strip, so that times stand in line. */
export const AXIS_PX = 44;
const FONT = "11px system-ui, sans-serif";
const TWO_MINUTES_S = 120;

/** A color of the style sheet. */
export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const stepped = uPlot.paths.stepped({ align: 1 });

/** A vertical axis. `whole` marks whole numbers only. */
export function verticalAxis(scale, { right = false, whole = false, show = true } = {}) {
  return {
    scale,
    show,
    side: right ? 1 : 3,
    size: AXIS_PX,
    gap: 4,
    space: 28,
    font: FONT,
    stroke: color("quiet"),
    grid: { show: !right, stroke: color("grid"), width: 1 },
    ticks: { show: false },
    ...(whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] } : {}),
  };
}

function timeAxis(range) {
  const label = (seconds) => (range[1] - range[0] <= TWO_MINUTES_S * 5 ? timeOfDay : hourAndMinute)(seconds * 1e6);
  return {
    size: 22,
    gap: 3,
    space: 90,
    font: FONT,
    stroke: color("quiet"),
    grid: { show: true, stroke: color("grid"), width: 1 },
    ticks: { show: false },
    values: (_, splits) => splits.map(label),
  };
}

/** From zero to a little above the largest; never a range that makes nothing look like something. */
export const fromZero = (least) => (_, low, high) => [0, Math.max(least, (high ?? 0) * 1.08)];

/**
 * A chart of `height` pixels. `describe()` gives uPlot's series, scales, axes, bands and draw hook with the colors in
 * force; `tell(index, nearUs)` gives the lines of the tooltip, `nearUs` being the time that a few pixels cover.
 */
export function createChart({ name, height, describe, tell }) {
  const node = element("div", { class: "chart" });
  const tooltip = element("div", { class: "tooltip", hidden: "" });
  const range = [0, 1];
  let plot = null;
  let columns = null;

  const build = () => {
    plot?.destroy();
    const { series, scales, axes, bands, draw } = describe();
    const options = {
      width: Math.max(node.clientWidth, 200),
      height,
      padding: [8, axes.some((axis) => axis.side === 1) ? 0 : AXIS_PX, 0, 0],
      legend: { show: false },
      series: [{}, ...series],
      bands: bands ?? [],
      scales: { x: { time: true, range: () => range }, ...scales },
      axes: [timeAxis(range), ...axes],
      cursor: { sync: { key: "time" }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
      hooks: { draw: draw ? [draw] : [], setCursor: [(it) => placeTooltip(it, tooltip, tell)] },
    };
    plot = new uPlot(options, columns, node);
    plot.root.querySelector("canvas").setAttribute("role", "img");
    plot.over.append(tooltip);
  };

  const fill = (newColumns, fromUs, toUs, label) => {
    columns = newColumns;
    range[0] = fromUs / 1e6;
    range[1] = toUs / 1e6;
    if (plot) plot.setData(columns);
    else build();
    setAttribute(plot.root.querySelector("canvas"), "aria-label", `${name}. ${label}`);
  };
  const widen = () => plot && node.clientWidth > 0 && plot.setSize({ width: node.clientWidth, height });
  new ResizeObserver(widen).observe(node);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot && build());
  return { node, fill };
}
