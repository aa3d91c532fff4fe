// The tier's present figures, one beside the other.
import { element, fillList, setAttribute, setText } from "./dom.js";
import { NO_DATA, figure, fixed, isKnown, percent, span } from "./format.js";
import { inWords } from "./reading.js";

/** A mean is given as its two parts. */
export const meanOf = ({ sum, count }) => (count > 0 ? sum / count : null);

export function createNumbers() {
  const node = element("dl", { class: "numbers" });
  const fill = (tier, now) =>
    fillList(node, numbersOf(tier, now), {
      keyOf: ({ name }) => name,
      make: ({ name }) => element("div", {}, element("dt", {}, name), element("dd")),
      fill: (box, { text, note, kind }) => {
        setText(box.lastChild, text);
        setAttribute(box.lastChild, "class", kind);
        setAttribute(box, "title", note);
      },
    });
  return { node, fill };
}

function numbersOf(tier, now) {
  const { supply, desired } = tier.decision;
  const { signals } = tier;
  const plain = (name, value, note = null) => ({ name, text: figure(value, 0), note, kind: "fresh" });
  const read = (name, reading, show) => ({ name, ...inWords(reading, now, show) });
  // Many fleets have neither; the list of signals names them all the same.
  const wanted = (...it) => (it[1].missing?.cause === "not_configured" ? [] : [read(...it)]);
  const lastKnown = tier.replicas_known ? null : "The backend could not list the replicas; this is the last known count.";
  return [
    plain("ready", supply.ready, lastKnown),
    plain("starting", supply.starting, lastKnown),
    plain("draining", supply.draining, lastKnown),
    ...(supply.failed > 0 ? [plain("failed", supply.failed)] : []),
    plain("desired", desired),
    { name: "min to max", text: `${figure(tier.minimum, 0)} to ${figure(tier.maximum, 0)}`, note: null, kind: "fresh" },
    known("demand", tier.demand_replicas, (value) => fixed(value, 2), "Replicas that the offered requests need."),
    read("requests/s", signals.offered, () => figure(tier.requests_per_second, 1)),
    read("queue depth", signals.queue_depth, (value) => figure(value, 0)),
    read("oldest waits", signals.oldest_queued, span),
    ...wanted("GPU", signals.gpu_utilization, (value) => percent(meanOf(value), 0)),
    ...wanted("players", signals.players, (value) => figure(value, 0)),
  ];
}

function known(name, value, show, note) {
  return isKnown(value)
    ? { name, text: show(value), note, kind: "fresh" }
    : { name, text: NO_DATA, note: "No policy of this tier tells its demand now.", kind: "missing" };
}
