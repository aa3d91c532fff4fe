// The latency objectives: bound, newest value, share above the bound, and what was attained since the start.
import { element, fillList, row, setAttribute, setText, table } from "./dom.js";
import { NO_DATA, causeInWords, counted, figure, latencyName, percent, span } from "./format.js";

/** Shares are added up over this long, as one tick holds few requests. */
const WINDOW_US = 60e6;

export function createSlo(tierName) {
  const { node: tableNode, body } = table(`Objectives of ${tierName}`, [
    { text: "objective" },
    { text: "bound", number: true },
    { text: "last", number: true, title: "The quantile lies between these two edges of the histogram." },
    { text: "above, 60 s", number: true, title: "Share above the bound in the last 60 s seen by this page." },
  ]);
  const attained = element("p", { class: "attained" });
  const node = element("section", {}, element("h3", {}, "Objectives"), tableNode, attained);
  const seen = [];

  const fill = (tier, now) => {
    tier.objectives.forEach((_, index) => {
      seen[index] ??= [];
      remember(seen[index], tier.signals.latency[index], now);
    });
    const lines = tier.objectives.map((objective, index) => ({ objective, index }));
    fillList(body, lines, {
      keyOf: ({ objective }) => `${objective.metric} ${objective.quantile}`,
      make: () => row("", "number", "number", "number"),
      fill: (line, { objective, index }) => fillLine(line, objective, tier.signals.latency[index], seen[index], now),
    });
    setText(attained, attainedInWords(tier));
  };
  return { node, fill };
}

function remember(seen, reading, now) {
  const newest = reading?.fresh;
  if (newest && newest.at !== seen.at(-1)?.at) seen.push(newest);
  while (seen.length > 0 && seen[0].at < now - WINDOW_US) seen.shift();
}

function fillLine(line, objective, reading, seen, now) {
  const [name, bound, last, above] = line.children;
  setText(name, `p${figure(objective.quantile * 100, 3)} ${latencyName(objective.metric)}`);
  setText(bound, span(objective.bound));
  fillLast(last, seen.at(-1), reading, objective, now);
  const [count, over] = seen.reduce(([all, high], { value }) => [all + value.count, high + value.above], [0, 0]);
  const share = count > 0 ? over / count : null;
  setText(above, percent(share));
  setAttribute(above, "class", judged(share === null ? null : share > 1 - objective.quantile + 1e-9));
  const allowed = percent(1 - objective.quantile);
  setAttribute(above, "title", `${figure(over, 0)} of ${figure(count, 0)}; ${allowed} may be`);
}

function fillLast(cell, newest, reading, objective, now) {
  const cause = reading?.missing?.cause;
  if (!newest) {
    setText(cell, NO_DATA);
    setAttribute(cell, "class", judged(null));
    setAttribute(cell, "title", cause ? causeInWords(cause) : "the reading is stale");
    return;
  }
  const { quantile_low: low, quantile_high: high } = newest.value;
  setText(cell, low === high ? span(high) : `${span(low)} to ${span(high)}`);
  setAttribute(cell, "class", judged(low > objective.bound));
  setAttribute(cell, "title", `measured ${span(Math.max(0, now - newest.at))} ago`);
}

const judged = (missed) => `number ${missed === null ? "missing" : missed ? "missed" : "met"}`;

function attainedInWords(tier) {
  const { windows, good_windows: good } = tier.objective_attainment;
  const share = tier.objective_attainment_share;
  if (share === null) return `Attainment since the start: ${NO_DATA} before the first minute with a request ends`;
  return `Attainment since the start: ${percent(share, 2)} of requests, ${figure(good, 0)} of ${counted(windows, "minute")} good`;
}
