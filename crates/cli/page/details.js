// What a reader asks for now and then: every signal with its age, and every replica.
import { element, fillList, row, setAttribute, setText, table } from "./dom.js";
import { NO_DATA, counted, figure, percent, span, words } from "./format.js";
import { meanOf } from "./numbers.js";
import { inWords } from "./reading.js";

const perSecond = (value, over) => (over > 0 ? `${figure((value * 1e6) / over, 1)}/s` : NO_DATA);
const share = ({ part, whole }) => (whole > 0 ? `${percent(part / whole)} of ${figure(whole, 0)}` : NO_DATA);

const SIGNALS = [
  ["offered", ({ requests, over }) => perSecond(requests, over)],
  ["queue_depth", (value) => figure(value, 0)],
  ["oldest_queued", span],
  ["in_flight", (value) => figure(value, 0)],
  ["finished", ({ succeeded, failed }) => `${figure(succeeded, 0)} well, ${figure(failed, 0)} failed`],
  ["pace", (value) => `${figure(meanOf(value), 1)} ms a token`],
  ["gpu_utilization", (value) => percent(meanOf(value), 0)],
  ["kv_utilization", (value) => percent(meanOf(value), 0)],
  ["engine_waiting", (value) => figure(value, 0)],
  ["prefix_cache_miss", share],
  ["error_share", share],
  ["players", (value) => figure(value, 0)],
];

/** A fold with a table in it that is filled only while it is open. */
function fold(caption, headings) {
  const summary = element("summary");
  const { node: tableNode, body } = table(caption, headings);
  const node = element("details", { class: "fold" }, summary, tableNode);
  let refill = () => {};
  node.addEventListener("toggle", () => refill());
  const fill = (text, fillBody) => {
    setText(summary, text);
    refill = () => node.open && fillBody(body);
    refill();
  };
  return { node, fill };
}

export function createSignals(tierName) {
  const { node, fill: fillFold } = fold(`Signals of ${tierName}`, [
    { text: "signal" },
    { text: "value", number: true },
    { text: "note" },
  ]);
  const fill = (tier, now) => {
    const lines = SIGNALS.map(([name, show]) => ({ name, ...inWords(tier.signals[name], now, show) }));
    const missing = lines.filter(({ kind }) => kind === "missing").length;
    const stale = lines.filter(({ kind }) => kind === "stale").length;
    fillFold(`Signals: ${lines.length - missing - stale} fresh, ${stale} stale, ${missing} with no data`, (body) =>
      fillList(body, lines, {
        keyOf: ({ name }) => name,
        make: () => row("", "number", "remark"),
        fill: (line, { name, kind, text, note }) => {
          setText(line.children[0], words(name));
          setText(line.children[1], text);
          setAttribute(line.children[1], "class", `number ${kind}`);
          setText(line.children[2], note ?? "");
        },
      }),
    );
  };
  return { node, fill };
}

export function createReplicas(tierName) {
  const { node, fill: fillFold } = fold(`Replicas of ${tierName}`, [
    { text: "replica" },
    { text: "state" },
    { text: "for", number: true },
    { text: "requests", number: true },
  ]);
  const fill = (tier, now) => {
    const text = tier.replicas_known
      ? counted(tier.replicas.length, "replica")
      : `Replicas: ${NO_DATA}, the backend could not list them`;
    const victims = new Set(tier.decision.victims);
    fillFold(text, (body) =>
      fillList(body, tier.replicas, {
        keyOf: ({ id }) => id,
        make: () => row("id", "", "number", "number"),
        fill: (line, { id, state, since, in_flight }) => {
          setText(line.children[0], id);
          setText(line.children[1], victims.has(id) ? `${state}, to go` : state);
          setText(line.children[2], span(Math.max(0, now - since)));
          setText(line.children[3], figure(in_flight, 0));
        },
      }),
    );
  };
  return { node, fill };
}
