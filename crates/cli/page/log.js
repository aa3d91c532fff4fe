// The decision log of one tier out of the journal: the newest first, each with its sentence and its whole chain.
import { createChain, createRecommendations } from "./chain.js";
import { element, fillList, setText } from "./dom.js";
import { counted, fullMoment, moment, span } from "./format.js";
import { kindOf, reasonInWords } from "./reasons.js";

const FIRST_ROWS = 30;
const MORE_ROWS = 100;
const MOST_ROWS = 1_000;
/** The journal's thread writes a little after the stream tells. */
const WRITTEN_AFTER_MS = 700;
/** Runs of held ticks grow without a change to tell of. */
const REFRESH_MS = 10_000;

/**
 * `sentences` takes the sentence of each change by its moment, for the charts' marks. Nothing is asked for while
 * `isVisible()` is false.
 */
export function createLog(tierName, sentences, isVisible) {
  const { node, list, also, more, state } = skeleton(tierName);
  let limit = FIRST_ROWS;
  let due = null;
  let asked = 0;

  const load = async () => {
    clearTimeout(due);
    due = setTimeout(load, REFRESH_MS);
    if (!isVisible()) return;
    const turn = ++asked;
    const query = new URLSearchParams({ tier: tierName, limit, changes_only: !also.checked });
    const answer = await entries(query);
    if (turn !== asked) return;
    if (answer.problem) {
      setText(state, `The log cannot be read: ${answer.problem}`);
      return;
    }
    setText(state, answer.rows.length > 0 ? "" : emptyText(also.checked));
    more.hidden = answer.rows.length < limit || limit >= MOST_ROWS;
    fillEntries(list, answer.rows, sentences);
  };
  also.addEventListener("change", load);
  more.addEventListener("click", () => {
    limit = Math.min(limit + MORE_ROWS, MOST_ROWS);
    load();
  });
  document.addEventListener("visibilitychange", load);
  const soon = () => {
    clearTimeout(due);
    due = setTimeout(load, WRITTEN_AFTER_MS);
  };
  return { node, load, soon };
}

const emptyText = (held) => (held ? "No decision yet." : "Nothing has grown or shrunk yet. Held decisions are left out.");

async function entries(query) {
  try {
    const response = await fetch(`v1/decisions?${query}`);
    const body = await response.json();
    return response.ok ? { rows: body } : { problem: body.error?.message ?? response.statusText };
  } catch {
    return { problem: "the controller does not answer" };
  }
}

function skeleton(tierName) {
  const also = element("input", { type: "checkbox", id: `held-${tierName}` });
  const more = element("button", { type: "button", class: "more", hidden: "" }, "Show more");
  const state = element("p", { class: "log-state" }, "Loading");
  const list = element("ol", { class: "log", "aria-label": `Decisions of ${tierName}, the newest first` });
  const filter = element("label", { class: "filter", for: `held-${tierName}` }, also, "also what was held");
  const head = element("div", { class: "log-head" }, element("h3", {}, "Decision log"), filter);
  return { node: element("section", { class: "decision-log" }, head, list, state, more), list, also, more, state };
}

function fillEntries(list, rows, sentences) {
  const now = Date.now() * 1e3;
  fillList(list, rows, { keyOf: ({ id }) => id, make: makeEntry, fill: (item, entry) => fillEntry(item, entry, now) });
  for (const { first_us, explanation } of rows) sentences.set(first_us, explanation);
}

function makeEntry(entry) {
  const summary = element(
    "summary",
    {},
    element("time", { datetime: fullMoment(entry.first_us), title: fullMoment(entry.first_us) }),
    element("span", { class: `block ${kindOf(entry.decision.reason).name}`, "aria-hidden": "true" }),
    element("span", { class: "sentence" }),
    element("span", { class: "ticks" }),
  );
  const details = element("details", {}, summary);
  details.addEventListener("toggle", () => details.open && details.childElementCount === 1 && unfold(details, entry), {
    once: true,
  });
  return element("li", {}, details);
}

/** A run of equal decisions keeps its words; only its end moves. */
function fillEntry(item, { first_us, last_us, ticks, explanation, decision }, now) {
  const [time, sign, sentence, run] = item.querySelector("summary").children;
  setText(time, moment(first_us, now));
  setText(sign, kindOf(decision.reason).sign);
  setText(sentence, explanation);
  setText(run, ticks > 1 ? `${span(last_us - first_us)}, ${counted(ticks, "tick")}` : "");
}

/** The chain of an entry is made when it is opened: most never are. */
function unfold(details, { decision, recommendations, clamps }) {
  const table = createRecommendations("Recommendations of this decision");
  table.fill(decision, recommendations);
  const chain = createChain();
  chain.fill(decision, clamps);
  const parts = [table.node, chain.node];
  const facts = [`reason ${reasonInWords(decision.reason)}`];
  if (decision.victims.length > 0) facts.push(`gone: ${decision.victims.join(", ")}`);
  const { ready, starting, draining } = decision.supply;
  facts.push(`taken over ${ready} ready, ${starting} starting, ${draining} draining`);
  parts.push(element("p", { class: "facts" }, facts.join("; ")));
  details.append(element("div", { class: "unfolded" }, ...parts));
}
