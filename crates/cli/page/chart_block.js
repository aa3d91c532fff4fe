// A chart with the names of its series above it and the same figures as a table below it.
import { element, fillList, row, setText, table } from "./dom.js";
import { timeOfDay } from "./format.js";
import { swatchOf } from "./tooltip.js";

/** Rows of the table, the newest first. */
const MOST_ROWS = 60;

/**
 * `series` is a list of `{swatch, name, read(point), show(value)}`; `marks` of `{kind, sign, text}` are named beside them.
 */
export function chartBlock(chart, title, series, marks = []) {
  const key = element("figcaption", { class: "chart-key" });
  for (const { swatch, name } of series) key.append(element("span", {}, swatchOf(swatch), name));
  for (const { kind, sign, text } of marks) {
    key.append(element("span", {}, element("i", { class: `mark ${kind}-mark`, "aria-hidden": "true" }, sign), text));
  }
  const headings = [{ text: "time" }, ...series.map(({ name }) => ({ text: name, number: true }))];
  const { node: tableNode, body } = table(`The last ticks: ${title}`, headings);
  const details = element("details", { class: "as-table" }, element("summary", {}, "as a table"), tableNode);
  const node = element("figure", { class: "chart-block" }, key, chart.node, details);

  let shown = [];
  const fillTable = () => {
    if (!details.open) return;
    fillList(body, shown.slice(-MOST_ROWS).reverse(), {
      keyOf: (point) => point.at_us,
      make: () => row("", ...series.map(() => "number")),
      fill: (line, point) => {
        setText(line.children[0], timeOfDay(point.at_us));
        series.forEach(({ read, show }, index) => setText(line.children[index + 1], show(read(point))));
      },
    });
  };
  details.addEventListener("toggle", fillTable);
  const fill = (points) => {
    shown = points;
    fillTable();
  };
  return { node, fill };
}
