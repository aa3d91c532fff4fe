// Demand in replicas against what there is: ready and starting as areas on one another, desired as a step line, and a
// mark for each decision that changed the count.
import { color, createChart, fromZero, stepped, verticalAxis } from "./chart.js";
import { chartBlock } from "./chart_block.js";
import { counted, figure, fixed, timeOfDay } from "./format.js";
import { columns, directionOf } from "./history.js";
import { reasonInWords } from "./reasons.js";

const MARK_PX = 5;

const SERIES = [
  { swatch: "demand", name: "demand", read: (it) => it.demand_replicas, show: (value) => fixed(value, 2) },
  { swatch: "ready", name: "ready", read: (it) => it.ready, show: (value) => figure(value, 0) },
  { swatch: "starting", name: "starting", read: (it) => it.starting, show: (value) => figure(value, 0) },
  { swatch: "desired", name: "desired", read: (it) => it.desired, show: (value) => figure(value, 0) },
];

const MARKS = [
  { kind: "grew", sign: "\u25b2", text: "decided to grow" },
  { kind: "shrank", sign: "\u25bc", text: "decided to shrink" },
];

/** `sentenceAt(atUs)` gives the sentence of the decision of a tick, null where it is not known. */
export function createReplicaChart(tierName, sentenceAt) {
  let points = [];
  let rows = new Map();
  let maximum = null;

  const chart = createChart({
    name: `Replicas of ${tierName}`,
    height: 190,
    describe: () => ({
      series: seriesStyles(),
      bands: [{ series: [2, 1], fill: color("starting-area") }],
      scales: { y: { range: fromZero(2) } },
      axes: [verticalAxis("y", { whole: true })],
      draw: (plot) => drawMarks(plot, points, maximum),
    }),
    tell: (index, nearUs) => tell(rows.get(index), points, nearUs, sentenceAt),
  });
  const block = chartBlock(chart, "replicas", SERIES, MARKS);

  const fill = (history, fromUs, toUs, tier) => {
    points = history.since(fromUs);
    maximum = tier.maximum;
    const data = columns(points, history.gapUs(), [
      (it) => it.ready,
      (it) => it.ready + it.starting,
      (it) => it.desired,
      (it) => it.demand_replicas,
    ]);
    rows = rowsByIndex(data[0], points);
    chart.fill(data, fromUs, toUs, label(tier));
    block.fill(points);
  };
  return { node: block.node, fill };
}

function seriesStyles() {
  const area = (name) => ({ scale: "y", paths: stepped, stroke: color(name), width: 1, points: { show: false } });
  return [
    { ...area("ready"), fill: color("ready-area") },
    area("starting"),
    { ...area("desired"), width: 1.5, dash: [5, 3] },
    { scale: "y", stroke: color("demand"), width: 2, points: { show: false } },
  ];
}

/** Which point stands behind each row of a chart; the rows that make a gap have none. */
export function rowsByIndex(seconds, points) {
  const byTime = new Map(points.map((point) => [point.at_us / 1e6, point]));
  return new Map(seconds.map((second, index) => [index, byTime.get(second) ?? null]));
}

function label({ decision, demand_replicas }) {
  const { supply, desired } = decision;
  const demand = demand_replicas === null ? "no data on demand" : `demand ${fixed(demand_replicas, 2)} replicas`;
  return `Now ${demand}, ${supply.ready} ready, ${supply.starting} starting, ${desired} desired. The table below has the figures.`;
}

function tell(point, points, nearUs, sentenceAt) {
  if (!point) return { title: "no tick seen", rows: [], sentences: [] };
  const rows = SERIES.map(({ swatch, name, read, show }) => ({ swatch, name, value: show(read(point)) }));
  const changes = points.filter((it) => it.changed && Math.abs(it.at_us - point.at_us) <= nearUs);
  const sentences = changes.slice(0, 3).map((it) => `${timeOfDay(it.at_us)} ${sentenceAt(it.at_us) ?? plainly(it)}`);
  if (changes.length > 3) sentences.push(`and ${counted(changes.length - 3, "more change")} beside it`);
  return { title: `${timeOfDay(point.at_us)}, ${reasonInWords(point.reason)}`, rows, sentences };
}

const plainly = (point) => `${reasonInWords(point.reason)}: ${point.ready + point.starting} to ${point.desired}`;

function drawMarks(plot, points, maximum) {
  const { ctx } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  drawMaximum(plot, maximum, ratio);
  for (const point of points) {
    if (!point.changed) continue;
    const x = plot.valToPos(point.at_us / 1e6, "x", true);
    const y = plot.valToPos(point.desired, "y", true);
    drawMark(ctx, x, y, directionOf(point), MARK_PX * ratio);
  }
  ctx.restore();
}

/** Upward where it grew, downward where it shrank. */
function drawMark(ctx, x, y, direction, size) {
  ctx.beginPath();
  ctx.moveTo(x, y - direction * size * 1.5);
  ctx.lineTo(x - size, y + direction * size * 0.3);
  ctx.lineTo(x + size, y + direction * size * 0.3);
  ctx.closePath();
  ctx.fillStyle = color(direction > 0 ? "grew" : "shrank");
  ctx.strokeStyle = color("surface");
  ctx.lineWidth = size / MARK_PX;
  ctx.fill();
  ctx.stroke();
}

function drawMaximum(plot, maximum, ratio) {
  const { ctx, bbox } = plot;
  if (maximum === null || maximum > plot.scales.y.max) return;
  const y = Math.round(plot.valToPos(maximum, "y", true));
  ctx.strokeStyle = color("quiet");
  ctx.fillStyle = color("quiet");
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.font = `${10 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText("maximum", bbox.left + bbox.width - 4 * ratio, y - 2 * ratio);
}
