// What comes in and what waits: offered requests a second on the left, queue depth on the right.
import { color, createChart, fromZero, stepped, verticalAxis } from "./chart.js";
import { chartBlock } from "./chart_block.js";
import { figure, timeOfDay } from "./format.js";
import { columns } from "./history.js";
import { rowsByIndex } from "./replica_chart.js";

const SERIES = [
  { swatch: "requests", name: "requests/s", read: (it) => it.requests_per_second, show: (value) => figure(value, 1) },
  { swatch: "queue", name: "queue depth", read: (it) => it.queue_depth, show: (value) => figure(value, 0) },
];

export function createTrafficChart(tierName) {
  let rows = new Map();
  const chart = createChart({
    name: `Traffic of ${tierName}`,
    height: 120,
    describe: () => ({
      series: [
        { scale: "requests", stroke: color("requests"), width: 1.5, points: { show: false } },
        { scale: "queue", paths: stepped, stroke: color("queue"), width: 1, fill: color("queue-area"), points: { show: false } },
      ],
      scales: { requests: { range: fromZero(1) }, queue: { range: fromZero(5) } },
      axes: [verticalAxis("requests"), verticalAxis("queue", { right: true, whole: true })],
    }),
    tell: (index) => {
      const point = rows.get(index);
      if (!point) return { title: "no tick seen", rows: [], sentences: [] };
      const told = SERIES.map(({ swatch, name, read, show }) => ({ swatch, name, value: show(read(point)) }));
      return { title: timeOfDay(point.at_us), rows: told, sentences: [] };
    },
  });
  const block = chartBlock(chart, "requests/s on the left, queue depth on the right", SERIES);

  const fill = (history, fromUs, toUs) => {
    const points = history.since(fromUs);
    const data = columns(points, history.gapUs(), SERIES.map(({ read }) => read));
    rows = rowsByIndex(data[0], points);
    chart.fill(data, fromUs, toUs, label(points.at(-1)));
    block.fill(points);
  };
  return { node: block.node, fill };
}

function label(point) {
  if (!point) return "No tick seen.";
  const told = SERIES.map(({ name, read, show }) => `${name} ${show(read(point))}`);
  return `Now ${told.join(", ")}. The table below has the figures.`;
}
