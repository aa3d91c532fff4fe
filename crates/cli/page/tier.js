// The card of one tier.
import { createChain, createRecommendations } from "./chain.js";
import { createReplicas, createSignals } from "./details.js";
import { element, setAttribute, setText } from "./dom.js";
import { fixed, fullMoment, moment } from "./format.js";
import { History, pointOf } from "./history.js";
import { createLog } from "./log.js";
import { createNumbers } from "./numbers.js";
import { kindOf, reasonInWords } from "./reasons.js";
import { createReplicaChart } from "./replica_chart.js";
import { createSlo } from "./slo.js";
import { createStrip } from "./strip.js";
import { createTrafficChart } from "./traffic_chart.js";
import { watchVisible } from "./visible.js";

export class TierCard {
  #history = new History();
  #sentences = new Map();
  #parts;
  #newest = null;
  #shownTime = [0, 0];
  #isVisible;

  constructor(name) {
    this.name = name;
    this.#parts = makeParts(name, this.#sentences, () => this.#isVisible());
    this.node = assemble(name, this.#parts);
    this.#isVisible = watchVisible(this.node, () => {
      this.show(...this.#shownTime);
      this.#parts.log.load();
    });
  }

  /** Takes in what the controller kept from before this page was opened, or from while the stream was lost. */
  addHistory(points) {
    this.#history.merge(points);
  }

  /** The oldest tick known, microseconds since 1970; null before the first. */
  oldestUs() {
    return this.#history.oldestUs();
  }

  /** The usual time between two ticks, microseconds. */
  tickUs() {
    return this.#history.tickUs();
  }

  /** Reads the log again: after the stream was lost it may have grown. */
  reloadLog() {
    this.#parts.log.soon();
  }

  /** Takes in one tick's view of the tier. */
  take(tier, atUs) {
    const point = pointOf(tier, atUs);
    const before = this.#newest?.decision;
    this.#history.add(point);
    this.#newest = tier;
    if (point.changed) this.#sentences.set(atUs, tier.explanation);
    if (point.changed || before?.reason !== tier.decision.reason) this.#parts.log.soon();
  }

  /** Shows the newest tick, and the charts from `fromUs` to `toUs`. */
  show(fromUs, toUs) {
    const tier = this.#newest;
    this.#shownTime = [fromUs, toUs];
    if (tier === null || !this.#isVisible()) return;
    const parts = this.#parts;
    showHead(parts, tier);
    showNotes(parts, tier, toUs);
    parts.numbers.fill(tier, toUs);
    parts.slo.fill(tier, toUs);
    parts.recommendations.fill(tier.decision, tier.recommendations);
    parts.chain.fill(tier.decision, tier.clamps);
    parts.signals.fill(tier, toUs);
    parts.replicas.fill(tier, toUs);
    parts.strip.fill(this.#history.since(fromUs), fromUs, toUs);
    parts.replicaChart.fill(this.#history, fromUs, toUs, tier);
    parts.trafficChart.fill(this.#history, fromUs, toUs);
  }
}

function makeParts(name, sentences, isVisible) {
  return {
    badge: element("span", { class: "badge reason" }),
    sentence: element("p", { class: "now" }),
    cost: element("p", { class: "cost" }),
    override: element("p", { class: "note override", hidden: "" }),
    refused: element("p", { class: "note refused", hidden: "" }),
    numbers: createNumbers(),
    strip: createStrip(),
    replicaChart: createReplicaChart(name, (atUs) => sentences.get(atUs) ?? null),
    trafficChart: createTrafficChart(name),
    slo: createSlo(name),
    recommendations: createRecommendations(`What the policies of ${name} recommend`),
    chain: createChain(),
    signals: createSignals(name),
    replicas: createReplicas(name),
    log: createLog(name, sentences, isVisible),
  };
}

function assemble(name, parts) {
  const id = `tier-${encodeURIComponent(name)}`;
  const title = element("h2", { id: `${id}-title` }, name);
  const head = element("header", {}, title, parts.badge, parts.sentence, parts.cost);
  const charts = element(
    "div",
    { class: "charts" },
    parts.strip.node,
    parts.replicaChart.node,
    parts.trafficChart.node,
  );
  const why = element("section", { class: "recommendations" }, element("h3", {}, "Recommendations"), parts.recommendations.node, parts.chain.node);
  const side = element("div", { class: "side" }, parts.slo.node, why, parts.replicas.node, parts.signals.node);
  return element(
    "section",
    { class: "tier", id, "aria-labelledby": `${id}-title` },
    head,
    parts.override,
    parts.refused,
    parts.numbers.node,
    element("div", { class: "columns" }, charts, side),
    parts.log.node,
  );
}

function showHead({ badge, sentence, cost }, tier) {
  const kind = kindOf(tier.decision.reason);
  setText(badge, `${kind.sign} ${reasonInWords(tier.decision.reason)}`);
  setAttribute(badge, "class", `badge reason ${kind.name}`);
  setText(sentence, tier.explanation);
  setText(cost, `${fixed(tier.cost_usd_per_hour, 2)} USD/h`);
}

function showNotes({ override, refused }, tier, now) {
  override.hidden = tier.operator === null;
  if (tier.operator) {
    const { at_least, at_most, until, because } = tier.operator;
    const bounds = [at_least === null ? null : `at least ${at_least}`, at_most === null ? null : `at most ${at_most}`];
    const order = bounds.filter((it) => it !== null).join(", ");
    setText(override, `Override in force: ${order}, until ${moment(until, now)}, because: ${because}`);
    setAttribute(override, "title", fullMoment(until));
  }
  refused.hidden = tier.refused === null;
  if (tier.refused) setText(refused, `The last launch was refused: ${tier.refused}`);
}
