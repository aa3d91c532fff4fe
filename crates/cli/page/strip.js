// The status strip: what was decided over the shown time, one block for each stretch of it.
import { element, setAttribute, setText } from "./dom.js";
import { counted, timeOfDay } from "./format.js";
import { KINDS, kindOf, reasonInWords } from "./reasons.js";

const NARROWEST_BLOCK_PX = 12;
const MOST_BLOCKS = 90;
const FEWEST_BLOCKS = 20;

export function createStrip() {
  const node = element("div", { class: "strip", role: "img" });
  const fill = (points, fromUs, toUs) => {
    const count = blockCount(node.clientWidth);
    while (node.childElementCount < count) node.append(element("span"));
    while (node.childElementCount > count) node.lastElementChild.remove();
    const blocks = gather(points, fromUs, toUs, count);
    blocks.forEach((block, index) => fillBlock(node.children[index], block));
    setAttribute(node, "aria-label", summary(points, fromUs, toUs));
  };
  return { node, fill };
}

function blockCount(width) {
  return Math.max(FEWEST_BLOCKS, Math.min(MOST_BLOCKS, Math.floor(width / NARROWEST_BLOCK_PX)));
}

/** The ticks of each stretch, by reason. */
function gather(points, fromUs, toUs, count) {
  const length = (toUs - fromUs) / count;
  const blocks = Array.from({ length: count }, (_, index) => ({
    fromUs: fromUs + index * length,
    toUs: fromUs + (index + 1) * length,
    reasons: new Map(),
  }));
  for (const { at_us, reason } of points) {
    const block = blocks[Math.min(count - 1, Math.max(0, Math.floor((at_us - fromUs) / length)))];
    block.reasons.set(reason, (block.reasons.get(reason) ?? 0) + 1);
  }
  return blocks;
}

function fillBlock(node, { fromUs, toUs, reasons }) {
  const kinds = [...reasons.keys()].map(kindOf);
  const shown = kinds.reduce((best, kind) => (best && best.weight >= kind.weight ? best : kind), null);
  setAttribute(node, "class", shown ? `block ${shown.name}` : "block nothing");
  setText(node, shown ? shown.sign : "");
  const told = [...reasons].map(([reason, ticks]) => `${reasonInWords(reason)} (${counted(ticks, "tick")})`);
  setAttribute(node, "title", `${timeOfDay(fromUs)} to ${timeOfDay(toUs)}: ${told.join(", ") || "no tick seen"}`);
}

function summary(points, fromUs, toUs) {
  const ticks = new Map(KINDS.map(({ name }) => [name, 0]));
  for (const { reason } of points) ticks.set(kindOf(reason).name, ticks.get(kindOf(reason).name) + 1);
  const told = KINDS.filter(({ name }) => ticks.get(name) > 0).map(({ name, word }) => `${word} ${ticks.get(name)}`);
  return `Decisions from ${timeOfDay(fromUs)} to ${timeOfDay(toUs)}, in ticks: ${told.join(", ") || "none"}`;
}

/** What the signs mean, to be shown once. */
export function createStripLegend() {
  const node = element("p", { class: "strip-legend" });
  for (const { name, sign, word } of [...KINDS].reverse()) {
    node.append(element("span", { class: `block ${name}`, "aria-hidden": "true" }, sign), `${word} `);
  }
  node.append(element("span", { class: "block nothing", "aria-hidden": "true" }), "no tick seen");
  return node;
}
